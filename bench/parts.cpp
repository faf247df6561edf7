// The parts of the guarded operations, and nothing else: what an operation would cost if the code around them were
// free.
//
// Each row `parts/NAME` does what the operation NAME cannot do without, in the same order: reads of the processor's
// counter, loads of the words that a call looks at, locked instructions, misses of the cache. `./dev check` holds each
// operation to its parts and a number of cycles, so a limit says how much our code may add, on every processor: where
// locked instructions are dear (Intel: each some 5 ns that nothing hides) and where they are cheap (AMD: hidden behind
// reads of the counter).
//
// With two threads each thread has a line of its own for what it writes, as the threads of a breaker have.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/detail/tick_clock.hpp>

#include "rows.hpp"
#include "service_name.hpp"

namespace fusebox::bench {
namespace {

// What an admission reads: one line that nobody writes meanwhile.
struct alignas(64) Read {
    std::atomic<std::uint64_t> word{};
    std::atomic<std::uint64_t> retry_at{};
    std::atomic<std::uint64_t> open_for{};
    std::atomic<bool> watching{};
    std::atomic<bool> measuring{true};
};
// What the end of a call writes, and what lies beside it.
struct alignas(64) Written {
    std::atomic<std::uint64_t> cell{};
    std::atomic<std::uint64_t> rejections{};
    std::atomic<std::uint64_t> run{};
    std::atomic<std::uint64_t> countdown{};
};
struct alignas(64) Guarded {
    std::mutex mutex;
    std::uint64_t count{};  // guarded by mutex
};

// The time as a breaker's clock reads it: from the processor's counter where steady_clock is read from there, too.
std::uint64_t read_clock(bool by_counter) {
    if (by_counter) [[likely]]
        return detail::processor_ticks();
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

struct Call {
    // The clock needs some time before it knows the counter's rate.
    Call() {
        for (const auto begun = std::chrono::steady_clock::now();
             !by_counter && std::chrono::steady_clock::now() - begun < std::chrono::milliseconds{200};) {
            (void)detail::steady_nanoseconds();
            by_counter = detail::steady_line.read(detail::processor_ticks()).has_value();
        }
    }

    bool by_counter{};
    Read read;
    std::array<Written, 2> written;
    std::array<Guarded, 2> guarded;
};

std::size_t thread_of(std::size_t step) { return step / second_thread; }

// relaxed throughout: nothing is published through these words, and on x86 the instructions are those of stronger
// orders.
constexpr auto order = std::memory_order_relaxed;

void look(const Read& read) {
    benchmark::DoNotOptimize(read.word.load(order));
    benchmark::DoNotOptimize(read.watching.load(order));
    benchmark::DoNotOptimize(read.measuring.load(order));
}

// One compare-and-swap that succeeds, and the loads that a success needs beside it.
void count_success(Written& written, std::uint64_t add) {
    auto cell = written.cell.load(order);
    written.cell.compare_exchange_strong(cell, cell + add, order);
    benchmark::DoNotOptimize(written.run.load(order));
    benchmark::DoNotOptimize(written.countdown.load(order));
}

// 10,000 objects by shared_ptr, asked for at random, as the row lookup/10000 asks for breakers.
struct Shared {
    explicit Shared(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            objects.push_back(std::make_shared<Object>(Object{.name = std::string{service_name(i)}}));
        }
        std::mt19937 random{1};
        std::uniform_int_distribution<std::size_t> any{0, count - 1};
        for (auto& thread : questions) {
            for (auto& question : thread) question = any(random);
        }
    }
    struct alignas(64) Object {
        std::string name;
    };
    struct alignas(64) Readers {
        std::atomic<std::uint64_t> count{};
    };
    static constexpr std::size_t asked = std::size_t{1} << 14U;

    std::vector<std::shared_ptr<Object>> objects;
    std::array<std::array<std::size_t, asked>, 2> questions{};
    std::array<Readers, 2> readers;
};

}  // namespace

void add_part_rows() {
    add_rows("parts/timed", std::make_unique<Call>, [](Call& call, std::size_t step) {
        auto& written = call.written[thread_of(step)];
        look(call.read);
        const auto began = read_clock(call.by_counter);
        benchmark::ClobberMemory();  // the operation
        const auto ended = read_clock(call.by_counter);
        look(call.read);
        count_success(written, ended - began);
    });
    add_rows("parts/untimed", std::make_unique<Call>, [](Call& call, std::size_t step) {
        look(call.read);
        look(call.read);
        count_success(call.written[thread_of(step)], 1);
    });
    add_rows("parts/failure", std::make_unique<Call>, [](Call& call, std::size_t step) {
        auto& guarded = call.guarded[thread_of(step)];
        look(call.read);
        benchmark::DoNotOptimize(read_clock(call.by_counter));
        const auto ended = read_clock(call.by_counter);
        const std::scoped_lock lock{guarded.mutex};
        guarded.count += ended;
        count_success(call.written[thread_of(step)], 1);  // the run of failures is written by compare-and-swap, too
    });
    add_rows("parts/rejection", std::make_unique<Call>, [](Call& call, std::size_t step) {
        look(call.read);
        benchmark::DoNotOptimize(call.read.retry_at.load(order));
        benchmark::DoNotOptimize(call.read.open_for.load(order));
        timespec time;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
        benchmark::DoNotOptimize(time.tv_nsec);
        call.written[thread_of(step)].rejections.fetch_add(1, order);
    });
    add_rows("parts/load", std::make_unique<Call>, [](Call& call, std::size_t) {
        benchmark::DoNotOptimize(call.read.word.load(std::memory_order_acquire));  // pairs with nothing: a load's cost
    });
    add_rows(
        "parts/lookup", [] { return std::make_unique<Shared>(std::size_t{10'000}); },
        [](Shared& shared, std::size_t step) {
            const auto thread = thread_of(step);
            shared.readers[thread].count.fetch_add(1, order);
            const auto object = shared.objects[shared.questions[thread][step % Shared::asked]];
            benchmark::DoNotOptimize(std::string_view{object->name} == std::string_view{shared.objects[0]->name});
            shared.readers[thread].count.fetch_sub(1, order);
        });
}

}  // namespace fusebox::bench
