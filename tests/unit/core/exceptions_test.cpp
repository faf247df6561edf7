// Exceptions out of everything that a user hands to a breaker, in every state that admits calls.
#include <functional>
#include <stdexcept>
#include <vector>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

[[noreturn]] void explode() { throw std::runtime_error{"thrown on purpose"}; }

// Errors that cannot say what they are.
struct NoOutcome {};
Outcome outcome_of(const NoOutcome& /*error*/) { explode(); }
struct NoHint {};
std::optional<Duration> retry_after_of(const NoHint& /*error*/) { explode(); }
struct NoMessage {};
std::string_view message_of(const NoMessage& /*error*/) { explode(); }

// A value that cannot be handed on.
struct NoMove {
    NoMove() = default;
    NoMove(NoMove&& /*other*/) {
        explode();
    }  // NOLINT(bugprone-exception-escape,performance-noexcept-move-constructor)
    NoMove& operator=(NoMove&&) = delete;
    NoMove(const NoMove&) = delete;
    NoMove& operator=(const NoMove&) = delete;
    ~NoMove() = default;
};

template <class Error>
std::expected<int, Error> fails() {
    return std::unexpected{Error{}};
}

struct Explosive {
    const char* what;
    std::function<void(CircuitBreaker&)> call;
    Outcome counts_as;
    bool passes;  ///< the caller sees the exception
};

const std::vector<Explosive>& explosives() {
    static const std::vector<Explosive> all{
        {"an operation, and the classifier of its exception",
         [](auto& breaker) { (void)breaker.call([]() -> int { explode(); }); }, Outcome::failure, false},
        {"the same in the throwing form", [](auto& breaker) { (void)breaker.run([]() -> int { explode(); }); },
         Outcome::failure, true},
        {"the move of an operation's value", [](auto& breaker) { (void)breaker.call([] { return NoMove{}; }); },
         Outcome::failure, false},
        {"an operation that returns expected",
         [](auto& breaker) { (void)breaker.call([]() -> std::expected<int, int> { explode(); }); }, Outcome::failure,
         true},
        {"an operation, and its fallback",
         [](auto& breaker) {
             (void)breaker.call_with_fallback([]() -> int { explode(); }, []() -> int { explode(); },
                                              FallbackOn::any_failure);
         },
         Outcome::failure, false},
        {"the judge of one call",
         [](auto& breaker) {
             (void)breaker.call_classified([] { return 1; }, [](const auto&) -> Outcome { explode(); });
         },
         Outcome::abandoned, true},
        {"outcome_of", [](auto& breaker) { (void)breaker.call(fails<NoOutcome>); }, Outcome::abandoned, true},
        {"retry_after_of", [](auto& breaker) { (void)breaker.call(fails<NoHint>); }, Outcome::abandoned, true},
        {"message_of", [](auto& breaker) { (void)breaker.call(fails<NoMessage>); }, Outcome::abandoned, true},
        {"whoever holds a permit",
         [](auto& breaker) {
             const auto permit = breaker.try_acquire();
             if (permit) explode();
         },
         Outcome::abandoned, true},
    };
    return all;
}

struct Admitting {
    State state;
    std::function<void(Rig&)> prepare;
};

const std::vector<Admitting>& admitting() {
    static const std::vector<Admitting> all{
        {State::closed, [](Rig&) {}},
        {State::half_open, [](Rig& rig) { rig.half_open(); }},
        {State::disabled, [](Rig& rig) { rig.breaker.disable(); }},
        {State::metrics_only, [](Rig& rig) { rig.breaker.metrics_only(); }},
    };
    return all;
}

std::uint64_t count_of(Outcome outcome, const CircuitBreakerMetrics& metrics) {
    return outcome == Outcome::failure ? metrics.totals.failures : metrics.totals.abandoned;
}

TEST_CASE("R9, R37: whatever throws, in whatever state, the call counts once and leaks nothing") {
    for (const auto& [state, prepare] : admitting()) {
        for (const auto& explosive : explosives()) {
            for (const auto watched : {false, true}) {
                INFO(to_string(state) << ": " << explosive.what << (watched ? ", watched" : ""));
                CircuitBreakerConfig config;
                config.half_open_max_concurrent = 1;
                if (watched) config.hung_call_threshold = 60s;
                Rig rig{config, {.classify_exception = [](const auto&) -> Outcome { explode(); }}};
                prepare(rig);
                REQUIRE(rig.state() == state);
                const auto listening =
                    rig.breaker.subscribe([](const auto&, const auto&) { explode(); }, EventMask::all);

                const auto before = rig.breaker.metrics();
                auto passed = false;
                try {
                    explosive.call(rig.breaker);
                } catch (const std::runtime_error& error) {
                    passed = std::string_view{error.what()} == "thrown on purpose";
                }
                CHECK(passed == explosive.passes);

                const auto after = rig.breaker.metrics();
                CHECK(after.totals.admitted == before.totals.admitted + 1);
                CHECK(count_of(explosive.counts_as, after) == count_of(explosive.counts_as, before) + 1);
                CHECK(after.totals.stale == 0);
                CHECK(after.probes_in_flight == 0);
                CHECK(after.totals.listener_errors > 0);  // the listener was there, and threw
                // A failed probe reopens; nothing else changes the state, and there is room for the next call.
                const auto reopens = state == State::half_open && explosive.counts_as == Outcome::failure;
                CHECK(rig.state() == (reopens ? State::open : state));
                rig.clock.advance(after.retry_after);
                CHECK(rig.breaker.call([] { return 7; }) == 7);
            }
        }
    }
}

TEST_CASE("R9: a call of the throwing form is settled once, whatever becomes of its value") {
    Rig rig;
    try {
        (void)rig.breaker.run([] { return NoMove{}; });
    } catch (const std::runtime_error&) {  // where the compiler does not spare the move
    }
    const auto totals = rig.breaker.metrics().totals;
    CHECK(totals.successes == 1);
    CHECK(totals.admitted == 1);
}

}  // namespace
}  // namespace fusebox::test
