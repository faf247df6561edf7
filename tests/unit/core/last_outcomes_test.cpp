#include <new>
#include <stdexcept>
#include <system_error>

#include "support/allocations/allocations.hpp"
#include "support/rig.hpp"

namespace fusebox::test {
namespace remote {

struct Busy {
    Duration come_back{};
    std::string detail;
};
std::optional<Duration> retry_after_of(const Busy& busy) { return busy.come_back; }
std::string_view message_of(const Busy& busy) { return busy.detail; }

struct Fault {
    std::string message;
};
struct Secretive {
    std::string message{"password=hunter2"};
};
std::string_view message_of(const Secretive&) { return "refused"; }
struct Mute {
    const char* message{};
};
enum class Code { down };
std::string_view to_string(Code) { return "down"; }

}  // namespace remote

namespace {

using namespace std::chrono_literals;

CircuitBreakerConfig touchy() {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 3;
    config.slow_call_duration_threshold = 2s;
    config.success_threshold = 1;
    return config;
}

std::vector<OutcomeRecord> last_outcomes(const Rig& rig) {
    const auto reports = rig.breaker.reports();
    REQUIRE_FALSE(reports.empty());
    return reports.front().last_outcomes;
}

std::vector<std::string> messages(const Rig& rig) {
    std::vector<std::string> result;
    for (const auto& outcome : last_outcomes(rig)) result.push_back(outcome.message);
    return result;
}

TEST_CASE("R40: a report has the last outcomes, newest first: age, duration, class, message, trace id") {
    Rig rig{touchy()};
    auto slow = rig.admit();
    rig.clock.advance(2s);
    slow.settle(Outcome::success, {.message = "took its time", .trace_id = "aa01"});
    rig.clock.advance(5s);
    rig.admit().settle(Outcome::failure, {.duration = 30ms, .message = "refused", .trace_id = "aa02"});
    rig.clock.advance(1s);
    rig.admit().settle(Outcome::timeout, {.duration = 9s, .trace_id = "aa03"});
    rig.fail(1, 100ms);
    REQUIRE(rig.state() == State::open);
    const std::vector<OutcomeRecord> expected{
        {.age = 0s, .duration = 100ms, .outcome = Outcome::failure, .slow = false, .message = {}, .trace_id = {}},
        {.age = 100ms, .duration = 9s, .outcome = Outcome::timeout, .slow = true, .message = {}, .trace_id = "aa03"},
        {.age = 1100ms,
         .duration = 30ms,
         .outcome = Outcome::failure,
         .slow = false,
         .message = "refused",
         .trace_id = "aa02"},
        {.age = 6100ms,
         .duration = 2s,
         .outcome = Outcome::success,
         .slow = true,
         .message = "took its time",
         .trace_id = "aa01"}};
    CHECK(last_outcomes(rig) == expected);
    CHECK(rig.breaker.last_trip()->last_outcomes == expected);
}

TEST_CASE("R40: the sentence of a trip says where every failure in a row was a timeout") {
    const auto sentence = [](std::uint32_t threshold, const std::vector<Outcome>& outcomes) {
        auto config = touchy();
        config.consecutive_failure_threshold = threshold;
        Rig rig{config};
        for (const auto outcome : outcomes) rig.admit().settle(outcome, {.message = "down"});
        REQUIRE(rig.state() == State::open);
        auto report = *rig.breaker.last_trip();
        report.note.clear();
        return describe(report);
    };
    using enum Outcome;
    CHECK(sentence(2, {timeout, timeout}) == "closed → open: 2 consecutive failures, all timeouts (threshold 2)");
    CHECK(sentence(1, {timeout}) == "closed → open: 1 consecutive failure, a timeout (threshold 1)");
    CHECK(sentence(2, {timeout, failure}) == "closed → open: 2 consecutive failures (threshold 2)");
    CHECK(sentence(2, {failure, timeout}) == "closed → open: 2 consecutive failures (threshold 2)");
    // Only the run counts: not what was before it, nor a neutral outcome in it.
    CHECK(sentence(2, {failure, success, timeout, ignored, timeout}) ==
          "closed → open: 2 consecutive failures, all timeouts (threshold 2)");
    // Of a run that is longer than the report's memory, nothing is claimed.
    const std::vector<Outcome> nine(9, timeout);
    CHECK(sentence(9, nine) == "closed → open: 9 consecutive failures (threshold 9)");
    const std::vector<Outcome> eight(8, timeout);
    CHECK(sentence(8, eight) == "closed → open: 8 consecutive failures, all timeouts (threshold 8)");
}

TEST_CASE("R40: plain successes are only counted, and neutral outcomes with nothing to say are left out") {
    Rig rig{touchy()};
    rig.clock.advance(6s);
    rig.succeed();  // begins a slice, hence takes the lock
    rig.settle(Outcome::ignored);
    rig.admit().settle(Outcome::ignored, {.retry_after = 1s});
    rig.fail();
    rig.breaker.trip();
    CHECK(last_outcomes(rig).size() == 1);
}

TEST_CASE("R40: a neutral outcome with a message is kept where it says something to the breaker") {
    Rig rig{touchy()};
    rig.admit().settle(Outcome::ignored, {.retry_after = 1s, .message = "too many requests"});
    rig.breaker.trip();
    CHECK(messages(rig) == std::vector<std::string>{"too many requests"});
    rig.clock.advance(30s);
    rig.admit().settle(Outcome::ignored, {.message = "not found"});
    rig.fail();
    CHECK(last_outcomes(rig).at(1).message == "not found");
    CHECK(last_outcomes(rig).at(1).outcome == Outcome::ignored);
}

TEST_CASE("R40: every transition carries them until the circuit has closed, ages counted from each") {
    Rig rig{touchy()};
    rig.fail(3);
    rig.clock.advance(30s);
    auto probe = rig.admit();
    auto outcomes = last_outcomes(rig);
    REQUIRE(outcomes.size() == 3);
    CHECK(outcomes[0].age == 30s);
    probe.settle(Outcome::failure, {.message = "still down"});
    CHECK(messages(rig) == std::vector<std::string>{"still down", "", "", ""});
    rig.clock.advance(30s);
    rig.succeed();
    REQUIRE(rig.state() == State::closed);
    CHECK(messages(rig) == std::vector<std::string>{"still down", "", "", ""});

    rig.breaker.force_open();
    CHECK(last_outcomes(rig).empty());
}

TEST_CASE("R40: no more than eight are kept, and texts are cut") {
    auto config = touchy();
    config.consecutive_failure_threshold = 20;
    config.failure_rate_threshold = 0;
    Rig rig{config};
    for (int i = 0; i < 20; ++i) {
        rig.admit().settle(Outcome::failure, {.message = std::string(95, 'x') + "é", .trace_id = std::string(40, 't')});
        rig.clock.advance(1s);
    }
    const auto outcomes = last_outcomes(rig);
    REQUIRE(outcomes.size() == 8);
    CHECK(outcomes[0].age == 0s);
    CHECK(outcomes[7].age == 7s);
    CHECK(outcomes[0].message == std::string(95, 'x'));
    CHECK(outcomes[0].trace_id == std::string(32, 't'));
}

TEST_CASE("R8, R40: a stale outcome is in no report") {
    Rig rig{touchy()};
    auto old = rig.admit();
    rig.breaker.trip();
    old.settle(Outcome::failure, {.message = "late"});
    rig.breaker.trip();
    CHECK(last_outcomes(rig).empty());
}

TEST_CASE("R24, R40: a probe whose lease ran out is among them") {
    auto config = touchy();
    config.half_open_max_concurrent = 1;
    Rig rig{config};
    rig.half_open();
    const auto probe = rig.admit();
    rig.clock.advance(60s);
    (void)rig.rejection();
    CHECK(last_outcomes(rig) == std::vector<OutcomeRecord>{{.age = 0s,
                                                            .duration = 60s,
                                                            .outcome = Outcome::failure,
                                                            .slow = false,
                                                            .message = "its lease ran out",
                                                            .trace_id = {}}});
}

TEST_CASE("R17, R40: a call that hangs is among them before it settles") {
    auto config = touchy();
    config.consecutive_failure_threshold = 1;
    config.hung_call_threshold = 4s;
    Rig rig{config};
    const auto hanging = rig.admit();
    rig.clock.advance(5s);
    (void)rig.rejection();
    CHECK(last_outcomes(rig) == std::vector<OutcomeRecord>{{.age = 0s,
                                                            .duration = 5s,
                                                            .outcome = Outcome::failure,
                                                            .slow = true,
                                                            .message = "still in flight",
                                                            .trace_id = {}}});
}

TEST_CASE("R40: what closed would have done is told with its last outcomes, once") {
    Rig rig{touchy()};
    rig.breaker.metrics_only();
    std::vector<TransitionReport> heard;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent& event) {
        if (const auto* would = std::get_if<WouldHaveTrippedEvent>(&event)) heard.push_back(would->report);
    });
    rig.fail(3);
    rig.clock.advance(31s);
    rig.fail(3);
    REQUIRE(heard.size() == 2);
    CHECK(heard[0].last_outcomes.size() == 3);
    CHECK(heard[1].last_outcomes.size() == 3);
}

TEST_CASE("R40: the event of a transition carries what its report carries") {
    Rig rig{touchy()};
    std::optional<TransitionReport> heard;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent& event) {
        if (const auto* moved = std::get_if<StateTransitionEvent>(&event)) heard = moved->report;
    });
    rig.fail(2);
    rig.admit().settle(Outcome::failure, {.message = "refused", .trace_id = "aa02"});
    CHECK(heard == rig.breaker.reports().front());
    CHECK(heard->last_outcomes.size() == 3);
}

TEST_CASE("R40: a breaker takes no memory for outcomes before the first bad one, nor for reports before a transition") {
    Rig rig{touchy()};
    rig.succeed();
    rig.clock.advance(6s);
    rig.succeed(1, 10ms);  // the window has its slices by now, and the durations their histogram
    const auto before = allocations();
    rig.clock.advance(6s);
    rig.succeed(100);
    rig.settle(Outcome::ignored);
    CHECK(allocations() == before);
    rig.fail();
    CHECK((allocations() == before + 1) == allocations_are_counted());
    const auto after_first = allocations();
    rig.fail();
    rig.succeed();
    rig.fail(2);
    CHECK(allocations() == after_first);
    rig.fail();
    REQUIRE(rig.state() == State::open);
    CHECK((allocations() > after_first) == allocations_are_counted());
}

TEST_CASE("R40: without memory there is no report, but the transition happens") {
    Rig rig{touchy()};
    rig.succeed();
    {
        const NoMemory none;
        for (int i = 0; i < 3; ++i) rig.breaker.try_acquire()->failure();
    }
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.metrics().trip_count == 1);
    if (allocations_are_counted()) {
        CHECK(rig.breaker.reports().empty());
        CHECK_FALSE(rig.breaker.last_trip());
    }
    rig.clock.advance(30s);
    rig.admit().settle(Outcome::failure, {.message = "still down"});
    CHECK(rig.breaker.reports().front().sequence == 3);
    CHECK(messages(rig).front() == "still down");
}

TEST_CASE("R24: without memory for the probes the circuit waits half-open, and lets the next one in that asks") {
    auto config = touchy();
    config.success_threshold = 1;
    Rig rig{config};
    rig.fail(3);
    rig.clock.advance(30s);
    if (allocations_are_counted()) {
        const NoMemory none;
        const auto refused = rig.breaker.try_acquire();
        CHECK((!refused && refused.error().kind == Rejection::Kind::too_many_probes));
    }
    rig.admit().success();
    CHECK(rig.breaker.metrics().totals.probes == 1);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R40, R52: last outcomes are saved and restored with their reports") {
    Rig before{touchy()};
    before.fail(2);
    before.clock.advance(3s);
    before.admit().settle(Outcome::failure, {.duration = 30ms, .message = "refused", .trace_id = "aa02"});
    before.clock.advance(7s);
    const auto snapshot = before.breaker.snapshot();
    Rig rig{touchy()};
    rig.breaker.restore(snapshot);
    const auto reports = rig.breaker.reports();
    REQUIRE(reports.size() == 2);
    CHECK(reports[1].last_outcomes == before.breaker.reports()[0].last_outcomes);
    CHECK(reports[1].last_outcomes.at(1).age == 3s);
    CHECK(reports[0].last_outcomes.empty());  // of this process there are none yet
}

// ---- what call takes from an error ----

template <class Error>
std::string words_of(Error error) {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 1;
    Rig rig{config};
    const auto answer = rig.breaker.call([&] { return std::expected<int, Error>{std::unexpect, error}; });
    REQUIRE_FALSE(answer);
    CHECK(rig.breaker.last_trip()->note == last_outcomes(rig).front().message);
    return last_outcomes(rig).front().message;
}

TEST_CASE("R40: call takes the words of an error that has them in place") {
    CHECK(words_of(std::string{"refused"}) == "refused");
    CHECK(words_of(std::runtime_error{"refused"}) == "refused");
    CHECK(words_of(remote::Fault{"refused"}) == "refused");
    CHECK(words_of(remote::Code::down) == "down");
    CHECK(words_of(CallError<std::string>{OperationFailed<std::string>{"refused"}}) == "refused");
    CHECK(words_of(CallError<int>{InternalError{"broken"}}) == "broken");
    CHECK(words_of(CallError<int>{TimeoutError{1s}}).empty());
    CHECK(words_of(7).empty());
    CHECK(words_of(remote::Mute{}).empty());
    CHECK(words_of(std::make_error_code(std::errc::timed_out)).empty());  // message() would have to make it
}

TEST_CASE("R40: an error can say itself what may be read of it") { CHECK(words_of(remote::Secretive{}) == "refused"); }

TEST_CASE("R40: call and run take the words of an exception, and the trace id from the caller") {
    auto config = touchy();
    config.consecutive_failure_threshold = 4;
    Rig rig{config};
    const CallOptions options{.trace_id = "aa07"};
    const auto throws = []() -> int { throw std::runtime_error{"refused"}; };
    (void)rig.breaker.call(throws, options);
    CHECK_THROWS_AS(rig.breaker.run(throws, options), std::runtime_error);
    CHECK_THROWS_AS(rig.breaker.call([&]() -> std::expected<int, int> { return throws(); }, options),
                    std::runtime_error);
    CHECK_THROWS_AS(rig.breaker.run([] { throw 7; }), int);
    CHECK(messages(rig) == std::vector<std::string>{"", "refused", "refused", "refused"});
    CHECK(last_outcomes(rig)[1].trace_id == "aa07");
    CHECK(last_outcomes(rig)[3].trace_id == "aa07");
}

TEST_CASE("R40: a failing call allocates nothing for its words, once there is a place for them") {
    auto config = touchy();
    config.consecutive_failure_threshold = 0;
    config.failure_rate_threshold = 0;
    Rig rig{config};
    const std::string text(80, 'x');
    const auto fails = [&]() -> std::expected<int, std::string_view> {
        return std::unexpected{std::string_view{text}};
    };
    (void)rig.breaker.call(fails);
    const auto before = allocations();
    for (int i = 0; i < 100; ++i) (void)rig.breaker.call(fails, {.trace_id = "0af7651916cd43dd8448eb211c80319c"});
    CHECK(allocations() == before);
    rig.breaker.trip();
    CHECK(last_outcomes(rig).front().message == text);
}

TEST_CASE("R29: call honours the hint of an error") {
    auto config = touchy();
    config.consecutive_failure_threshold = 1;
    Rig rig{config};
    (void)rig.breaker.call(
        [] { return std::expected<int, remote::Busy>{std::unexpect, remote::Busy{90s, "too many requests"}}; });
    CHECK(rig.breaker.metrics().retry_after == 90s);
    CHECK(messages(rig) == std::vector<std::string>{"too many requests"});
    SECTION("also one that has come through another breaker") {
        Rig outer{config};
        (void)outer.breaker.call([] {
            return std::expected<int, CallError<remote::Busy>>{std::unexpect,
                                                               OperationFailed{remote::Busy{90s, "too many requests"}}};
        });
        CHECK(outer.breaker.metrics().retry_after == 90s);
    }
}

}  // namespace
}  // namespace fusebox::test
