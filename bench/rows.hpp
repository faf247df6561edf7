// One measured operation: a row of Google Benchmark's report for each number of threads.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include <benchmark/benchmark.h>

#include "allocations.hpp"
#include "pin.hpp"

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

/// Adds the rows `name/threads:1` and `name/threads:2`. All threads of a row use one subject, which `make()` makes as a
/// smart pointer; each row has its own, so that what contention does to it stays in its row.
///
/// `operation(subject, step)` is what is measured; `step` counts up in each thread. `prepare(subject)` runs in one thread
/// before each measurement and gives what is wrong with the subject, or nothing.
template <class Make, class Operation, class Prepare>
void add_rows(const std::string& name, Make make, Operation operation, Prepare prepare) {
    for (const int threads : {1, 2}) {
        auto lazy = std::make_shared<Lazy<Make>>(make);
        benchmark::RegisterBenchmark(name.c_str(), [lazy, operation, prepare](benchmark::State& state) {
            pin_to_core(state.thread_index());
            auto& subject = lazy->get();
            if (state.thread_index() == 0) {
                if (const char* problem = prepare(subject)) state.SkipWithError(problem);
            }
            // Threads begin far apart in whatever they walk through.
            auto step = static_cast<std::size_t>(state.thread_index()) * 7919U;
            const auto before = test::allocations();
            for (auto _ : state) operation(subject, step++);
            state.counters["allocations"] = {static_cast<double>(test::allocations() - before),
                                             benchmark::Counter::kAvgIterations};
        })->Threads(threads);
    }
}
template <class Make, class Operation>
void add_rows(const std::string& name, Make make, Operation operation) {
    add_rows(name, std::move(make), std::move(operation), [](auto&) -> const char* { return nullptr; });
}

/// The rows of each file.
void add_baseline_rows();
void add_breaker_rows();
void add_policy_rows();
void add_registry_rows();

}  // namespace fusebox::bench
