#include "delivery_rules.hpp"

#include <fusebox/notifications/dispatcher.hpp>

#include "support/catch.hpp"
#include "support/incident_samples.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace notifications;
using incidents::DeliveryError;
using incidents::DeliveryResult;
using incidents::NextMove;
using Kind = DeliveryResult::Kind;

namespace {

const auto now = new_year + 1h;

SendResult failure(NextMove move, std::string error_class = "connect",
                   std::optional<std::chrono::milliseconds> retry_after = {}) {
    DeliveryError error;
    error.next_move = move;
    error.error_class = std::move(error_class);
    error.message = "it broke";
    error.retry_after = retry_after;
    return std::unexpected(std::move(error));
}

fusebox::incidents::Notification tried(std::uint32_t attempts, std::optional<Duration> failing_for = {}) {
    auto notification = sample_notification();
    notification.attempts = attempts;
    if (failing_for) {
        notification.first_failed_at = now - std::chrono::duration_cast<std::chrono::microseconds>(*failing_for);
    }
    return notification;
}

DeliveryRules rules(RetryPolicy retry = {}, bool knows_breaker = true) { return {retry, knows_breaker, 42}; }

}  // namespace

TEST_CASE("what was delivered is delivered") {
    const auto decision = rules().decide(tried(3), {}, now, 25ms);
    CHECK(decision.result.kind == Kind::delivered);
    CHECK(decision.result.at == now);
    CHECK(decision.result.took == 25ms);
    CHECK_FALSE(decision.result.error);
    CHECK_FALSE(decision.close_gate);
}

TEST_CASE("a retry waits anywhere between nothing and a ceiling that doubles with each attempt up to the cap") {
    auto rule = rules();
    const auto [attempts, ceiling] = GENERATE(table<std::uint32_t, Duration>(
        {{0, 1s}, {1, 2s}, {2, 4s}, {5, 32s}, {8, 256s}, {9, 5min}, {40, 5min}, {4'000'000'000, 5min}}));
    Duration shortest = 1h;
    Duration longest{};
    for (int i = 0; i < 2000; ++i) {
        const auto decision = rule.decide(tried(attempts), failure(NextMove::retry), now, 0ms);
        REQUIRE(decision.result.kind == Kind::retry);
        const Duration pause = decision.result.next_attempt_at - now;
        shortest = std::min(shortest, pause);
        longest = std::max(longest, pause);
    }
    CHECK(shortest >= 0s);
    CHECK(shortest < ceiling / 50);
    CHECK(longest <= ceiling + 1us);
    CHECK(longest > ceiling * 49 / 50);
}

TEST_CASE("equal seeds give equal pauses") {
    auto one = rules();
    auto two = rules();
    for (int i = 0; i < 10; ++i) {
        CHECK(one.decide(tried(5), failure(NextMove::retry), now, 0ms).result.next_attempt_at ==
              two.decide(tried(5), failure(NextMove::retry), now, 0ms).result.next_attempt_at);
    }
}

TEST_CASE("a time that the destination named is kept, spread a little, and closes its gate") {
    auto rule = rules();
    for (int i = 0; i < 500; ++i) {
        const auto decision = rule.decide(tried(0), failure(NextMove::retry_after, "rate_limited", 30s), now, 0ms);
        REQUIRE(decision.result.kind == Kind::retry);
        REQUIRE(decision.result.next_attempt_at >= now + 30s);
        REQUIRE(decision.result.next_attempt_at <= now + 33s + 1us);
        REQUIRE(decision.close_gate == 30s);
    }
}

TEST_CASE("a plain retry with a hint is never earlier than the hint") {
    auto rule = rules();
    for (int i = 0; i < 500; ++i) {
        const auto decision = rule.decide(tried(0), failure(NextMove::retry, "http_5xx", 7s), now, 0ms);
        REQUIRE(decision.result.next_attempt_at >= now + 7s);
    }
}

TEST_CASE("429 without a time waits for the whole backoff") {
    const auto decision = rules().decide(tried(3), failure(NextMove::retry_after, "rate_limited"), now, 0ms);
    CHECK(decision.close_gate == 8s);
    CHECK(decision.result.next_attempt_at >= now + 8s);
}

TEST_CASE("429 with a time that is near or past waits for the whole backoff all the same") {
    const auto hint = GENERATE(0ms, 1ms, 7999ms);
    const auto decision = rules().decide(tried(3), failure(NextMove::retry_after, "rate_limited", hint), now, 0ms);
    CHECK(decision.close_gate == 8s);
    CHECK(decision.result.next_attempt_at >= now + 8s);
}

TEST_CASE("a refusal that may pass is tried again for 10 minutes, and is then a dead letter for an operator") {
    auto refusal = failure(NextMove::retry_briefly, "http_4xx");
    refusal.error().status = 404;
    auto row = tried(1, 3h);
    const auto attempt = [&](Duration ago, int status) {
        const auto at = now - std::chrono::duration_cast<std::chrono::microseconds>(ago);
        row.attempt_log.push_back(
            {.at = at, .took = 1ms, .delivered = false, .error_class = "", .message = "", .status = status});
    };
    attempt(3h, 404);  // of an earlier run
    attempt(11min, 500);
    CHECK(rules().decide(row, refusal, now, 0ms).result.kind == Kind::retry);
    attempt(10min - 1us, 404);
    attempt(1min, 404);
    const auto last_try = rules().decide(row, refusal, now, 0ms);
    CHECK(last_try.result.kind == Kind::retry);
    CHECK(last_try.result.error->next_move == NextMove::retry_briefly);
    CHECK_FALSE(last_try.close_gate);
    const auto dead = rules().decide(row, refusal, now + 1us, 0ms);
    CHECK(dead.result.kind == Kind::dead);
    CHECK(dead.result.error->next_move == NextMove::reconfigure);
    CHECK(dead.result.error->message == "undelivered after 2 attempts in 10m; the last: it broke");
}

TEST_CASE("no destination can put a delivery off for more than a day") {
    const auto decision = rules().decide(tried(0), failure(NextMove::retry_after, "rate_limited", 24h * 365), now, 0ms);
    CHECK(decision.close_gate == 24h);
    CHECK(decision.result.next_attempt_at <= now + 24h + 5s + 1us);
}

TEST_CASE("giving up and reconfigure make a dead letter that keeps its error") {
    const auto move = GENERATE(NextMove::give_up, NextMove::reconfigure);
    const auto decision = rules().decide(tried(0), failure(move, "http_4xx"), now, 5ms);
    CHECK(decision.result.kind == Kind::dead);
    CHECK(decision.result.error->next_move == move);
    CHECK(decision.result.error->message == "it broke");
    CHECK_FALSE(decision.disable);
}

TEST_CASE("410 disables the destination") {
    auto gone = failure(NextMove::give_up, "gone");
    gone.error().disable_destination = true;
    CHECK(rules().decide(tried(0), gone, now, 0ms).disable);
}

TEST_CASE("a refusal by the breaker is put off to its retry time") {
    const auto decision = rules().decide(tried(2), failure(NextMove::defer, "circuit_open", 20s), now, 0ms);
    CHECK(decision.result.kind == Kind::defer);
    CHECK(decision.result.next_attempt_at >= now + 20s);
    CHECK(decision.result.next_attempt_at <= now + 22s + 1us);
    CHECK_FALSE(decision.close_gate);  // the breaker itself says when it passes again, and an operator may reset it
}

TEST_CASE("a refusal by a breaker that the lane does not know closes the gate instead") {
    const auto decision = rules({}, false).decide(tried(2), failure(NextMove::defer, "circuit_open", 20s), now, 0ms);
    CHECK(decision.close_gate == 20s);
}

TEST_CASE("a cancelled send is due again at once") {
    const auto decision = rules().decide(tried(2), failure(NextMove::defer, "cancelled"), now, 0ms);
    CHECK(decision.result.kind == Kind::defer);
    CHECK(decision.result.next_attempt_at == now);
}

TEST_CASE("the last allowed attempt makes a dead letter with its reason") {
    auto rule = rules({.max_attempts = 5});
    CHECK(rule.decide(tried(3), failure(NextMove::retry), now, 0ms).result.kind == Kind::retry);
    const auto decision = rule.decide(tried(4), failure(NextMove::retry), now, 0ms);
    CHECK(decision.result.kind == Kind::dead);
    CHECK(decision.result.error->next_move == NextMove::give_up);
    CHECK(decision.result.error->error_class == "connect");
    CHECK(decision.result.error->message == "undelivered after 5 attempts; the last: it broke");
}

TEST_CASE("failing for too long makes a dead letter with its reason") {
    CHECK(rules().decide(tried(900, 24h - 1s), failure(NextMove::retry), now, 0ms).result.kind == Kind::retry);
    const auto decision = rules().decide(tried(900, 24h + 5min), failure(NextMove::retry_after), now, 0ms);
    CHECK(decision.result.kind == Kind::dead);
    CHECK(decision.result.error->message == "undelivered after 901 attempts in 1d; the last: it broke");
}

TEST_CASE("being put off never makes a dead letter, however long it takes") {
    const auto decision =
        rules({.max_attempts = 1}).decide(tried(50, 24h * 30), failure(NextMove::defer, "circuit_open", 9s), now, 0ms);
    CHECK(decision.result.kind == Kind::defer);
}

TEST_CASE("only P0 and P1 have a fallback, and what is one itself has none") {
    using fusebox::incidents::Severity;
    auto draft = sample_notification().draft;
    draft.severity = Severity::p0;
    CHECK(deserves_fallback(draft));
    draft.severity = Severity::p1;
    CHECK(deserves_fallback(draft));
    draft.severity = Severity::p2;
    CHECK_FALSE(deserves_fallback(draft));
    draft.severity = Severity::p0;
    draft.fallback_for = "msg_0";
    CHECK_FALSE(deserves_fallback(draft));
}

TEST_CASE("a fallback has an id of its own that is always the same") {
    const auto original = sample_notification().draft;
    const auto draft = fallback_draft(original, "ops-mail", now);
    CHECK(draft.id == fallback_draft(original, "ops-mail", now + 5min).id);
    CHECK(draft.id != original.id);
    CHECK(draft.fallback_for == original.id);
    CHECK(draft.destination == "ops-mail");
    CHECK(draft.payload == original.payload);
    CHECK(draft.kind == original.kind);
    CHECK(draft.severity == original.severity);
    CHECK(draft.created_at == now);
}

}  // namespace fusebox::test
