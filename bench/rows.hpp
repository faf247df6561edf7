// One measured operation: a row of Google Benchmark's report for each number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include <benchmark/benchmark.h>

#include "pin.hpp"
#include "support/allocations/allocations.hpp"

namespace fusebox::bench {

/// Made when the row is first run, so that a filtered run does not pay for the others.
template <class Make>
class Lazy {
public:
    using Subject = std::invoke_result_t<Make&>;  // a std::unique_ptr or std::shared_ptr
    explicit Lazy(Make make) : make_(std::move(make)) {}
    auto& get() {
        std::call_once(once_, [&] { subject_ = make_(); });
        return *subject_;
    }

private:
    Make make_;
    std::once_flag once_;
    Subject subject_;
};

inline constexpr std::size_t second_thread = std::size_t{1} << 32U;

/// Adds the rows `name/threads:1` and `name/threads:2`. All threads of a row use one subject, which `make()` makes as a
/// smart pointer; each row has its own, so that what contention does to it stays in its row.
///
/// `operation(subject, step)` is what is measured; `step` counts up in each thread, from 0 in the first one and from
/// `second_thread` in the second. `prepare(subject)` runs in one thread
/// before each measurement and gives what is wrong with the subject, or nothing.
///
/// Counters: `allocations` per operation; `wall`, the nanoseconds from when the last thread was ready until all are
/// done ÷ the operations. It is what report.py reads. Google Benchmark's real_time is the mean of what each thread
/// took, and too low where they did not run side by side; how it is divided also depends on the library's version.
template <class Make, class Operation, class Prepare>
void add_rows(const std::string& name, Make make, Operation operation, Prepare prepare) {
    using Clock = std::chrono::steady_clock;
    for (const int threads : {1, 2}) {
        auto lazy = std::make_shared<Lazy<Make>>(make);
        auto arrivals = std::make_shared<std::array<Clock::time_point, 2>>();  // each written by its thread
        benchmark::RegisterBenchmark(name.c_str(), [lazy, arrivals, operation, prepare](benchmark::State& state) {
            pin_to_core(state.thread_index());
            auto& subject = lazy->get();
            if (state.thread_index() == 0) {
                if (const char* problem = prepare(subject)) state.SkipWithError(problem);
            }
            auto step = static_cast<std::size_t>(state.thread_index()) * second_thread;
            const auto before = test::allocations();
            (*arrivals)[static_cast<std::size_t>(state.thread_index())] = Clock::now();
            for (auto _ : state) operation(subject, step++);  // all threads wait for each other before and after
            state.counters["allocations"] = {static_cast<double>(test::allocations() - before),
                                             benchmark::Counter::kAvgIterations};
            if (state.thread_index() == 0) {
                const auto begun = *std::max_element(arrivals->begin(), arrivals->end());
                state.counters["wall"] = std::chrono::duration<double, std::nano>{Clock::now() - begun}.count() /
                                         static_cast<double>(state.iterations() * state.threads());
            }
        })->Threads(threads);
    }
}
template <class Make, class Operation>
void add_rows(const std::string& name, Make make, Operation operation) {
    add_rows(name, std::move(make), std::move(operation), [](auto&) -> const char* { return nullptr; });
}

/// The rows of each file.
void add_baseline_rows();
void add_part_rows();
void add_breaker_rows();
void add_coroutine_rows();
void add_policy_rows();
void add_registry_rows();

}  // namespace fusebox::bench
