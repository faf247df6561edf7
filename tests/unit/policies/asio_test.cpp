// What standalone asio does with a breaker around its awaitables. A program of its own, for the sake of asio's headers.
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/strand.hpp>
#include <asio_runtime.hpp>
#include <fusebox/core/manual_clock.hpp>
#include <stdexcept>
#include <system_error>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

template <class T>
using Task = asio::awaitable<T>;

struct Bench {
    explicit Bench(CircuitBreakerConfig config = touchy()) : breaker{"service", config} {}
    [[nodiscard]] LifetimeTotals totals() const { return breaker.metrics().totals; }
    /// Runs one coroutine to its end and gives what it gave.
    template <class T>
    T run(Task<T> task) {
        std::optional<T> given;
        std::exception_ptr thrown;
        asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, T value) {
            thrown = std::move(error);
            given.emplace(std::move(value));
        });
        io.run();
        io.restart();
        if (thrown) std::rethrow_exception(thrown);
        return *std::move(given);
    }

    asio::io_context io;
    CircuitBreaker breaker;
};

CircuitBreakerConfig touchy_within(Duration timeout) {
    auto config = touchy();
    config.operation_timeout = timeout;
    return config;
}

// asio says only inside of its own coroutines that this can be awaited.
static_assert(detail::MustBeAwaited<Task<int>> && detail::MustBeAwaited<Task<void>>);

Task<int> seven() { co_return 7; }
Task<Result> fails() { co_return failed(503); }
Task<int> throws() {
    throw std::runtime_error{"down"};
    co_return 7;
}
// Ends only by being cancelled.
Task<int> hangs() {
    asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    co_await timer.async_wait(asio::use_awaitable);
    co_return 7;
}
// Is told to end, and brings its value all the same.
Task<int> commits() {
    asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    std::error_code told;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, told));
    co_return 7;
}

bool is_timeout(const auto& answer) {
    return !answer && std::holds_alternative<TimeoutError>(answer.error().variant());
}

}  // namespace

TEST_CASE("R35: asio: success, failure and exception, with and without a timer") {
    Bench bench{{}};
    CHECK(bench.run(co_call(bench.breaker, seven)).value() == 7);
    CHECK(bench.run(co_call(bench.breaker, seven, AsioRuntime{})).value() == 7);
    CHECK(bench.totals().successes == 2);
    CHECK(bench.run(co_call(bench.breaker, fails)).error().operation_error()->code == 503);
    CHECK(bench.run(co_call(bench.breaker, fails, AsioRuntime{})).error().operation_error()->code == 503);
    CHECK(bench.totals().failures == 2);
    for (const auto& answer :
         {bench.run(co_call(bench.breaker, throws)), bench.run(co_call(bench.breaker, throws, AsioRuntime{}))}) {
        REQUIRE(answer.error().operation_error() != nullptr);
        CHECK_THROWS_WITH(std::rethrow_exception(*answer.error().operation_error()), "down");
    }
    CHECK(bench.totals().failures == 4);
    CHECK(bench.run(co_call(bench.breaker, []() -> Task<void> { co_return; }, AsioRuntime{})));
    auto owner = bench.run(co_call(
        bench.breaker, []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); }, AsioRuntime{}));
    CHECK(**owner == 7);
    CHECK(bench.totals().successes == 4);
}

TEST_CASE("R35: asio: when the timer wins the caller gets timeout, and the loser is cancelled") {
    Bench bench{touchy_within(1ms)};
    bool ended = false;
    const auto answer = bench.run(co_call(
        bench.breaker,
        [&]() -> Task<int> {
            struct AtEnd {
                bool& ended;
                ~AtEnd() { ended = true; }
            } const at_end{ended};
            co_return co_await hangs();
        },
        AsioRuntime{}));
    REQUIRE(is_timeout(answer));
    CHECK(ended);
    CHECK(bench.totals().timeouts == 1);
    CHECK(bench.breaker.state() == State::open);
}

TEST_CASE("R33: asio: a loser that brings its value while it is cancelled gives it, flagged late") {
    Bench bench{touchy_within(1ms)};
    bool late = false;
    CHECK(bench.run(co_call(bench.breaker, commits, AsioRuntime{}, {.late = &late})).value() == 7);
    CHECK(late);
    CHECK(bench.totals().timeouts == 1);
}

TEST_CASE("R35: asio: a rejection runs nothing of the operation") {
    Bench bench;
    bench.breaker.force_open();
    bool called = false;
    const auto op = [&]() -> Task<int> {
        called = true;
        co_return 7;
    };
    CHECK(refusal(bench.run(co_call(bench.breaker, op, AsioRuntime{}))) == Rejection::Kind::circuit_open);
    CHECK_FALSE(called);
}

namespace {

// A probe that hangs, with its deadline 10 s away.
struct HangingProbe {
    HangingProbe() {
        breaker.trip();
        clock.advance(1h);
    }
    void run_until_it_hangs(asio::io_context& io) const {
        while (breaker.metrics().probes_in_flight == 0) io.run_one();
        while (io.poll_one() > 0) {
        }
        CHECK(breaker.metrics().probes_in_flight == 1);
    }
    void check_slot_is_free() const {
        CHECK(breaker.metrics().probes_in_flight == 0);
        CHECK(breaker.state() == State::half_open);
        CHECK(breaker.metrics().totals.failures == 0);
    }
    ManualClock clock;
    CircuitBreaker breaker{"service", touchy(), {.clock = &clock}};
};

}  // namespace

TEST_CASE("R9: asio: a cancelled call is neutral and frees its slot") {
    HangingProbe probe;
    asio::io_context io;
    asio::cancellation_signal cancel;
    std::optional<bool> threw;
    bool failed_only = false;
    const auto call = [&]() -> Task<void> {
        const auto answer = co_await co_call(probe.breaker, hangs, AsioRuntime{});
        failed_only = !answer && answer.error().operation_error() != nullptr;
    };
    asio::co_spawn(io, call(), asio::bind_cancellation_slot(cancel.slot(), [&](const std::exception_ptr& error) {
                       threw = error != nullptr;
                   }));
    probe.run_until_it_hangs(io);
    cancel.emit(asio::cancellation_type::terminal);
    io.run();
    CHECK(threw == false);
    CHECK(failed_only);
    CHECK(probe.breaker.metrics().totals.ignored == 1);
    probe.check_slot_is_free();
}

TEST_CASE("R9: asio: calls that go down with their io_context are abandoned and free their slots") {
    HangingProbe probe;
    {
        asio::io_context io;
        asio::co_spawn(io, co_call(probe.breaker, hangs, AsioRuntime{}), asio::detached);
        probe.run_until_it_hangs(io);
    }
    CHECK(probe.breaker.metrics().totals.abandoned == 1);
    probe.check_slot_is_free();
    {
        asio::io_context io;
        asio::co_spawn(io, co_call(probe.breaker, hangs), asio::detached);
        probe.run_until_it_hangs(io);
    }
    CHECK(probe.breaker.metrics().totals.abandoned == 2);
    probe.check_slot_is_free();
}

TEST_CASE("R35: asio: calls on two threads race their timers and each is settled once") {
    Bench bench{{.consecutive_failure_threshold = 0, .failure_rate_threshold = 0, .operation_timeout = 50us}};
    constexpr int calls = 1000;
    std::atomic<int> values{};
    std::atomic<int> timeouts{};
    std::atomic<int> others{};
    const auto hops = [](int count) -> Task<int> {
        for (int i = 0; i < count; ++i) co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return count;
    };
    const auto one = [&](int i) -> Task<void> {
        const auto answer = co_await co_call(bench.breaker, [&, i] { return hops(i % 50); }, AsioRuntime{});
        (answer ? values : is_timeout(answer) ? timeouts : others).fetch_add(1);
    };
    // asio's rule where several threads run an io_context: what belongs to one coroutine runs on a strand.
    for (int i = 0; i < calls; ++i) asio::co_spawn(asio::make_strand(bench.io), one(i), asio::detached);
    {
        const std::jthread other{[&] { bench.io.run(); }};
        bench.io.run();
    }
    CHECK(values + timeouts == calls);
    CHECK(others == 0);
    const auto totals = bench.totals();
    CHECK(totals.requests == calls);
    CHECK(totals.successes + totals.timeouts == calls);
    CHECK(totals.abandoned == 0);
}

}  // namespace fusebox::test
