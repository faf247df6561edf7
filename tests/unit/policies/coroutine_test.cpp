#include <coroutine>
#include <exception>
#include <fusebox/core/manual_clock.hpp>
#include <fusebox/policies/coroutine.hpp>
#include <fusebox/policies/timeout.hpp>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/allocations/allocations.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

// ---- a coroutine type as users have one: lazy, and choosy about what it awaits, as asio::awaitable is ----

struct PromiseBase {
    struct Final {
        static bool await_ready() noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
            return ended.promise().awaited_by;
        }
        static void await_resume() noexcept {}
    };
    static std::suspend_always initial_suspend() noexcept { return {}; }
    static Final final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { error = std::current_exception(); }

    std::coroutine_handle<> awaited_by{std::noop_coroutine()};
    std::exception_ptr error;
};
template <class T>
struct Promise : PromiseBase {
    template <class U = T>
    void return_value(U&& given) {
        value.emplace(std::forward<U>(given));
    }
    T take() {
        if (error) std::rethrow_exception(error);
        return std::move(*value);
    }
    std::optional<T> value;
};
template <>
struct Promise<void> : PromiseBase {
    void return_void() noexcept {}
    void take() const {
        if (error) std::rethrow_exception(error);
    }
};

// Something to wait for that the test fires.
class Signal {
public:
    void fire() { std::exchange(waiting_, nullptr).resume(); }
    [[nodiscard]] bool is_awaited() const { return waiting_ != nullptr; }

private:
    friend struct SignalAwaiter;
    std::coroutine_handle<> waiting_;
};
struct SignalAwaiter {
    static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) const noexcept { signal.waiting_ = waiting; }
    static void await_resume() noexcept {}
    Signal& signal;
};

// What a database client might return: an awaitable that no coroutine can have as its type.
struct Query {
    static bool await_ready() noexcept { return true; }
    static void await_suspend(std::coroutine_handle<>) noexcept {}
    [[nodiscard]] int await_resume() const { return rows; }
    int rows;
};

template <class T>
class [[nodiscard]] Task {
public:
    struct promise_type : Promise<T> {
        Task get_return_object() { return Task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        template <class U>
        Task<U> await_transform(Task<U> task) {
            return task;
        }
        static SignalAwaiter await_transform(Signal& signal) { return {signal}; }
        static Query await_transform(Query query) { return query; }
    };

    Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() { destroy(); }
    void destroy() {
        if (frame_) std::exchange(frame_, nullptr).destroy();
    }

    // From outside: runs until it is suspended or done.
    Task& start() {
        frame_.resume();
        return *this;
    }
    [[nodiscard]] bool done() const { return frame_.done(); }
    T result() {
        REQUIRE(done());
        return frame_.promise().take();
    }

    static bool await_ready() noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        frame_.promise().awaited_by = awaiting;
        return frame_;
    }
    T await_resume() { return frame_.promise().take(); }

private:
    explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

// Awaitable by an operator of its own, as a member and beside it.
struct ByMember {
    std::suspend_never operator co_await() const { return {}; }
};
struct Beside {};
[[maybe_unused]] std::suspend_never operator co_await(const Beside&) { return {}; }
// A coroutine that is read and not awaited.
struct Generator {
    struct promise_type {};
    int* begin() const;
};

static_assert(detail::MustBeAwaited<Task<int>> && detail::MustBeAwaited<Task<void>>);
static_assert(detail::MustBeAwaited<Query> && detail::MustBeAwaited<SignalAwaiter>);
static_assert(detail::MustBeAwaited<ByMember> && detail::MustBeAwaited<Beside>);
static_assert(!detail::MustBeAwaited<Generator>);
static_assert(!detail::MustBeAwaited<void> && !detail::MustBeAwaited<int> && !detail::MustBeAwaited<int*>);
static_assert(!detail::MustBeAwaited<std::string> && !detail::MustBeAwaited<std::optional<int>>);
static_assert(!detail::MustBeAwaited<Result> && !detail::MustBeAwaited<Answer>);

// ---- what the tests share ----

using Bench = BreakerBench;

// Runs a task that nothing suspends.
auto run(auto task) { return task.start().result(); }

Task<int> seven() { co_return 7; }
Task<Result> fails(int code = 500) { co_return failed(code); }
Task<int> throws(const char* what) {
    throw std::runtime_error{what};
    co_return 7;
}

// A race under the test's control.
struct Races {
    enum class First : std::uint8_t { call, timer, timer_but_call_ends };
    First first{First::call};
    std::shared_ptr<std::vector<Duration>> times = std::make_shared<std::vector<Duration>>();

    template <class T>
    Task<RaceResult<T>> race(Task<T> call, Duration time) const {
        times->push_back(time);
        if (first == First::timer) {
            call.start();  // and left behind
            co_return RaceResult<T>{};
        }
        co_return RaceResult<T>{co_await std::move(call), first == First::timer_but_call_ends};
    }
};

struct BrokenRace {
    template <class T>
    Task<RaceResult<T>> race(Task<T>, Duration) const {
        throw std::runtime_error{"no timer left"};
        co_return RaceResult<T>{};
    }
};

const TimeoutError* timeout_of(const auto& answer) {
    return answer ? nullptr : std::get_if<TimeoutError>(&answer.error().variant());
}

}  // namespace

}  // namespace fusebox::test

template <>
struct fusebox::CoroutineTraits<fusebox::test::Query> {
    using Value = int;
    template <class T>
    using Rebind = fusebox::test::Task<T>;
};

namespace fusebox::test {

TEST_CASE("R35: a call over the user's own task gives what the operation gives") {
    Bench bench;
    CHECK(run(co_call(bench.breaker, seven)).value() == 7);
    CHECK(run(co_call(bench.breaker, [] { return seven(); })).value() == 7);
    CHECK(run(co_call(bench.breaker, []() -> Task<void> { co_return; })));
    auto owner =
        run(co_call(bench.breaker, []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); }));
    CHECK(**owner == 7);
    CHECK(run(co_call(bench.breaker, []() -> Task<Result> { co_return 7; })).value() == 7);
    CHECK(run(co_call(bench.breaker, []() -> Task<std::expected<void, Failure>> { co_return {}; })));
    CHECK(bench.totals().successes == 6);
    CHECK(bench.totals().requests == 6);
}

TEST_CASE("R35: an awaited error is judged as call judges") {
    Bench bench;
    const auto ignored = run(co_call(bench.breaker, [] { return fails(404); }));
    CHECK(ignored.error().operation_error()->code == 404);
    CHECK(bench.totals().ignored == 1);
    const auto failure = run(co_call(bench.breaker, [] { return fails(503); }));
    CHECK(failure.error().operation_error()->code == 503);
    CHECK(bench.totals().failures == 1);
    CHECK(bench.breaker.state() == State::open);
}

TEST_CASE("R35: what an operation throws is its error, wherever it throws") {
    Bench bench{{}, {.classify_exception = [](const std::exception_ptr& error) {
                    try {
                        std::rethrow_exception(error);
                    } catch (const std::logic_error&) {
                        return Outcome::ignored;
                    } catch (...) {
                        return Outcome::failure;
                    }
                }}};
    const auto awaited = run(co_call(bench.breaker, [] { return throws("down"); }));
    REQUIRE(awaited.error().operation_error() != nullptr);
    CHECK_THROWS_WITH(std::rethrow_exception(*awaited.error().operation_error()), "down");
    // Before there is anything to await.
    const auto at_once = run(co_call(bench.breaker, []() -> Task<int> {
        if (true) throw std::runtime_error{"no connection"};
        return seven();
    }));
    CHECK_THROWS_WITH(std::rethrow_exception(*at_once.error().operation_error()), "no connection");
    CHECK(bench.totals().failures == 2);
    CHECK_FALSE(run(co_call(bench.breaker, []() -> Task<void> {
        throw std::logic_error{"my own fault"};
        co_return;
    })));
    CHECK(bench.totals().ignored == 1);
}

TEST_CASE("R35: an operation that returns expected and still throws: recorded as a failure, and passed through") {
    Bench bench;
    const auto both = []() -> Task<Result> {
        throw std::runtime_error{"bug"};
        co_return 7;
    };
    CHECK_THROWS_WITH(run(co_call(bench.breaker, both)), "bug");
    CHECK(bench.totals().failures == 1);
    bench.breaker.reset();
    CHECK_THROWS_WITH(run(co_call(bench.breaker, both, Races{})), "bug");
    CHECK(bench.totals().failures == 2);
}

TEST_CASE("R35: what a call is given lives until it has ended, and ends once") {
    Bench bench;
    const auto owned = std::make_shared<std::string>(100, 'x');
    const Races races;
    const auto caller = [&]() -> Task<std::size_t> {
        // Both have names, for the sake of GCC 12.
        const auto size = [owned]() -> Task<std::size_t> { co_return owned->size(); };
        const auto plain = co_await co_call(bench.breaker, size);
        auto task = co_call(
            bench.breaker, [owned](const CallContext&) -> Task<std::size_t> { co_return owned->size(); }, races);
        const auto raced = co_await std::move(task);
        co_return plain.value() + raced.value();
    };
    CHECK(run(caller()) == 200);
    CHECK(owned.use_count() == 1);
    CHECK(races.times.use_count() == 1);
}

TEST_CASE("R35: a rejection runs nothing of the operation") {
    Bench bench;
    bench.breaker.force_open();
    bool called = false;
    const auto answer = run(co_call(bench.breaker, [&] { return called = true, seven(); }));
    CHECK(refusal(answer) == Rejection::Kind::circuit_open);
    CHECK_FALSE(called);
}

TEST_CASE("R35: a lazy task is admitted when it begins to run") {
    Bench bench;
    {
        auto never_started = co_call(bench.breaker, seven);
    }
    CHECK(bench.totals().requests == 0);
    auto task = co_call(bench.breaker, seven);
    bench.breaker.force_open();
    CHECK(refusal(task.start().result()) == Rejection::Kind::circuit_open);
}

TEST_CASE("R9: a coroutine that is destroyed while suspended is abandoned and frees its slot") {
    Bench bench;
    bench.wait_for_probe();
    Signal signal;
    const auto waits = [&]() -> Task<int> {
        co_await signal;
        co_return 7;
    };
    SECTION("without a race") {
        auto task = co_call(bench.breaker, waits);
        CHECK_FALSE(task.start().done());
        CHECK(bench.breaker.metrics().probes_in_flight == 1);
        CHECK(refusal(run(co_call(bench.breaker, seven))) == Rejection::Kind::too_many_probes);
        task.destroy();
    }
    SECTION("within a race") {
        auto task = co_call(bench.breaker, waits, Races{});
        CHECK_FALSE(task.start().done());
        CHECK(bench.breaker.metrics().probes_in_flight == 1);
        task.destroy();
    }
    CHECK(bench.breaker.metrics().probes_in_flight == 0);
    CHECK(bench.totals().abandoned == 1);
    CHECK(bench.breaker.state() == State::half_open);
    CHECK(run(co_call(bench.breaker, seven)).value() == 7);
    CHECK(bench.breaker.state() == State::closed);
}

TEST_CASE("R35: a suspended call is settled when it resumes, once") {
    Bench bench;
    Signal signal;
    auto task = co_call(bench.breaker, [&]() -> Task<int> {
        co_await signal;
        co_return 7;
    });
    task.start();
    CHECK(signal.is_awaited());
    CHECK(bench.totals().successes == 0);
    signal.fire();
    CHECK(task.result().value() == 7);
    task.destroy();
    CHECK(bench.totals().successes == 1);
    CHECK(bench.totals().abandoned == 0);
}

TEST_CASE(
    "R32: an awaited operation gets the earlier deadline and the stop token, and may keep its context by reference") {
    Bench bench{{.operation_timeout = 5s}};
    std::stop_source stop;
    Signal signal;
    std::optional<Duration> left;
    bool told = false;
    auto task = co_call(bench.breaker,
                        [&](const CallContext& context) -> Task<void> {
                            co_await signal;
                            left = context.remaining();
                            told = context.stop_requested();
                        },
                        NoRuntime{}, {.deadline = bench.clock.now() + 2s, .stop = stop.get_token()});
    task.start();
    bench.clock.advance(500ms);
    stop.request_stop();
    signal.fire();
    CHECK(task.result());
    CHECK(left == 1500ms);
    CHECK(told);
    CHECK(run(co_call(bench.breaker, [&](const CallContext& context) -> Task<void> {
        left = context.remaining();
        co_return;
    })));
    CHECK(left == 5s);
}

TEST_CASE("R33: without a timer a call that ends late is a timeout, and its value is flagged late") {
    Bench bench{{.operation_timeout = 1s}};
    bool late = false;
    const auto slow = [&]() -> Task<int> {
        bench.clock.advance(2s);
        co_return 7;
    };
    CHECK(run(co_call(bench.breaker, slow, NoRuntime{}, {.late = &late})).value() == 7);
    CHECK(late);
    CHECK(run(co_call(bench.breaker, seven, NoRuntime{}, {.late = &late})).value() == 7);
    CHECK_FALSE(late);
    // A policy inside says so too.
    const auto inside = [&](const CallContext& context) -> Task<int> {
        co_return call_with(Timeout{10ms, bench.clock}, [&] { return bench.clock.advance(20ms), 7; }, context).value();
    };
    CHECK(run(co_call(bench.breaker, inside, NoRuntime{}, {.late = &late})).value() == 7);
    CHECK(late);
    CHECK(run(co_call(bench.breaker, inside, Races{}, {.late = &late})).value() == 7);
    CHECK(late);
    CHECK(bench.totals().timeouts == 3);
}

TEST_CASE("R35: the call that beats the timer gives its answer") {
    Bench bench{{.operation_timeout = 3s}};
    const Races races;
    CHECK(run(co_call(bench.breaker, seven, races)).value() == 7);
    CHECK(run(co_call(bench.breaker, [] { return fails(); }, races)).error().operation_error()->code == 500);
    CHECK(run(co_call(bench.breaker, [] { return throws("down"); }, races)).error().operation_error() != nullptr);
    CHECK(*races.times == std::vector<Duration>{3s, 3s, 3s});
    CHECK(bench.totals().successes == 1);
    CHECK(bench.totals().failures == 2);
}

TEST_CASE("R35: when the timer wins the caller gets timeout, and so does the breaker") {
    CircuitBreakerConfig config = touchy();
    config.operation_timeout = 3s;
    Bench bench{config};
    Signal signal;
    bool late = false;
    const auto waits = [&]() -> Task<int> {
        co_await signal;
        co_return 7;
    };
    const auto answer = run(co_call(bench.breaker, waits, Races{Races::First::timer}, {.late = &late}));
    REQUIRE(timeout_of(answer) != nullptr);
    CHECK(timeout_of(answer)->after == 3s);
    CHECK(late);
    CHECK(bench.totals().timeouts == 1);
    CHECK(bench.breaker.state() == State::open);
}

TEST_CASE("R33: a loser that brings a value all the same gives it, flagged late; its error is a timeout") {
    Bench bench;
    const Races races{Races::First::timer_but_call_ends};
    bool late = false;
    CHECK(run(co_call(bench.breaker, seven, races, {.late = &late})).value() == 7);
    CHECK(late);
    CHECK(bench.totals().timeouts == 1);
    bench.breaker.reset();
    CHECK(timeout_of(run(co_call(bench.breaker, [] { return fails(404); }, races))) != nullptr);
    bench.breaker.reset();
    CHECK(timeout_of(run(co_call(bench.breaker, [] { return throws("cancelled"); }, races))) != nullptr);
    bench.breaker.reset();
    CHECK(timeout_of(run(co_call(
              bench.breaker,
              []() -> Task<Result> {
                  throw std::runtime_error{"cancelled"};
                  co_return 7;
              },
              races))) != nullptr);
    CHECK(bench.totals().timeouts == 4);
    CHECK(bench.totals().failures == 0);
}

TEST_CASE("R35: without a deadline there is no race") {
    CircuitBreakerConfig config;
    config.operation_timeout.reset();
    Bench bench{config};
    const Races races{Races::First::timer};
    CHECK(run(co_call(bench.breaker, seven, races)).value() == 7);
    CHECK(races.times->empty());
    CHECK_FALSE(run(co_call(bench.breaker, seven, races, {.deadline = bench.clock.now() + 1s})));
    CHECK(*races.times == std::vector<Duration>{1s});
}

TEST_CASE("R9: a race that throws leaves the permit abandoned") {
    Bench bench;
    bench.wait_for_probe();
    CHECK_THROWS_WITH(run(co_call(bench.breaker, seven, BrokenRace{})), "no timer left");
    CHECK(bench.totals().abandoned == 1);
    CHECK(bench.breaker.metrics().probes_in_flight == 0);
}

namespace {
struct Odd {};
Outcome outcome_of(const Odd&) { throw std::runtime_error{"no idea"}; }
}  // namespace

TEST_CASE("R9: an outcome_of that throws leaves the permit abandoned") {
    Bench bench;
    bench.wait_for_probe();
    const auto odd = []() -> Task<std::expected<int, Odd>> { co_return std::unexpected{Odd{}}; };
    CHECK_THROWS_WITH(run(co_call(bench.breaker, odd)), "no idea");
    CHECK(bench.totals().abandoned == 1);
    CHECK(bench.breaker.metrics().probes_in_flight == 0);
}

TEST_CASE("R35: an error after the caller gave up is neutral, a value counts") {
    struct GivesUp : Races {
        Task<bool> cancelled() const {
            asked->push_back(true);
            if (throwing) throw std::runtime_error{"cancelled"};
            co_return says;
        }
        std::shared_ptr<std::vector<bool>> asked = std::make_shared<std::vector<bool>>();
        bool says{true};
        bool throwing{};
    };
    Bench bench;
    GivesUp runtime;
    CHECK_FALSE(run(co_call(bench.breaker, [] { return fails(); }, runtime)));
    CHECK(bench.totals().ignored == 1);
    runtime.throwing = true;
    CHECK_FALSE(run(co_call(bench.breaker, [] { return throws("cancelled"); }, runtime)));
    CHECK(bench.totals().ignored == 2);
    CHECK(runtime.asked->size() == 2);

    // Asked only about errors that would count.
    CHECK(run(co_call(bench.breaker, seven, runtime)).value() == 7);
    std::stop_source stop;
    stop.request_stop();
    CHECK_FALSE(run(co_call(bench.breaker, [] { return fails(); }, runtime, {.stop = stop.get_token()})));
    CHECK(bench.totals().ignored == 3);
    CHECK(runtime.asked->size() == 2);
    CHECK(bench.breaker.state() == State::closed);

    runtime.says = runtime.throwing = false;
    CHECK_FALSE(run(co_call(bench.breaker, [] { return fails(); }, runtime)));
    CHECK(bench.totals().failures == 1);
}

TEST_CASE("R35: a stop request makes an error neutral without a runtime too") {
    Bench bench;
    std::stop_source stop;
    stop.request_stop();
    CHECK_FALSE(run(co_call(bench.breaker, [] { return fails(); }, NoRuntime{}, {.stop = stop.get_token()})));
    CHECK_THROWS(run(co_call(bench.breaker,
                             []() -> Task<Result> {
                                 throw std::runtime_error{"stopped"};
                                 co_return 7;
                             },
                             NoRuntime{}, {.stop = stop.get_token()})));
    CHECK(bench.totals().ignored == 2);
    CHECK(bench.breaker.state() == State::closed);
}

TEST_CASE(
    "R35: coroutine calls nest: an error of the inner breaker is not wrapped twice, its refusal is neutral outside") {
    Bench inner;
    Bench outer;
    outer.wait_for_probe();
    const auto nested = [&] { return co_call(inner.breaker, [] { return fails(); }); };
    const auto failure = run(co_call(outer.breaker, nested));
    CHECK(failure.error().operation_error()->code == 500);
    CHECK(outer.breaker.state() == State::open);
    outer.clock.advance(1h);
    CHECK(refusal(run(co_call(outer.breaker, nested))) == Rejection::Kind::circuit_open);
    CHECK(outer.breaker.state() == State::half_open);
    CHECK(outer.breaker.metrics().probes_in_flight == 0);
    CHECK(outer.totals().ignored == 1);
    // Even where a timer was first: the operation never ran.
    CHECK(refusal(run(co_call(outer.breaker, nested, Races{Races::First::timer_but_call_ends}))) ==
          Rejection::Kind::circuit_open);
    CHECK(outer.totals().ignored == 2);
}

TEST_CASE("R40: the words of an awaited error and the trace id of its call are in the report") {
    Bench bench;
    const CallOptions options{.trace_id = "aa07"};
    const auto last = [&] {
        REQUIRE(bench.breaker.state() == State::open);
        return bench.breaker.last_trip()->last_outcomes.at(0);
    };
    (void)run(co_call(bench.breaker, [] { return throws("down"); }, NoRuntime{}, options));
    CHECK(last().message == "down");
    CHECK(last().trace_id == "aa07");

    bench.breaker.reset();
    const auto passes = []() -> Task<Result> {
        throw std::runtime_error{"not even an answer"};
        co_return 7;
    };
    CHECK_THROWS(run(co_call(bench.breaker, passes, NoRuntime{}, options)));
    CHECK(last().message == "not even an answer");
    CHECK(last().trace_id == "aa07");
}

TEST_CASE("R29: a hint of an awaited error can lengthen the open time") {
    Bench bench;
    const auto busy = []() -> Task<Result> { co_return std::unexpected{Failure{503, Duration{90s}}}; };
    CHECK_FALSE(run(co_call(bench.breaker, busy)));
    CHECK(bench.breaker.metrics().retry_after == 90s);
}

TEST_CASE("R35: an awaitable that is no coroutine type says its own") {
    Bench bench;
    CHECK(run(co_call(bench.breaker, [] { return Query{7}; })).value() == 7);
    CHECK(run(co_call(bench.breaker, [] { return Query{7}; }, Races{})).value() == 7);
    CHECK(bench.totals().successes == 2);
}

TEST_CASE("R35: a call allocates its own frame, a race one more, and nothing else") {
    if (!allocations_are_counted()) return;
    Bench bench;
    const auto allocated = [](auto&& make) {
        const auto before = allocations();
        auto task = make();
        task.start();
        return allocations() - before;
    };
    const auto plain = allocated([] { return seven(); });
    CHECK(plain == 1);
    CHECK(allocated([&] { return co_call(bench.breaker, seven); }) == plain + 1);
    // The race itself is a frame of the runtime's.
    const Races races;
    races.times->reserve(1);
    CHECK(allocated([&] { return co_call(bench.breaker, seven, races); }) == plain + 2 + 1);
}

}  // namespace fusebox::test
