#include <algorithm>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>
#include <fusebox/registry/state_store.hpp>

#include "proof/fuzz/targets.hpp"

namespace fusebox::test::fuzz {
namespace {

State restored_state(State saved) { return saved == State::half_open ? State::open : saved; }

/// R52, and R25: whatever was restored, a breaker that is open lets a probe through in the end.
void promise_goes_on(const std::string& name, const BreakerSnapshot& snapshot) {
    ManualClock clock;
    CircuitBreaker breaker{name, {}, {.clock = &clock, .seed = 1}};
    breaker.restore(snapshot);  // refuses nothing that parse_state has accepted
    promise(breaker.state() == restored_state(snapshot.state), name + " is not in the state that was saved");
    promise(breaker.generation() >= snapshot.generation, name + " gives numbers twice");

    const auto metrics = breaker.metrics();
    promise(metrics.trip_count == snapshot.trip_count, name + " has another trip count");
    promise(metrics.retry_after <= snapshot.time_left, name + " is open for longer than it was");
    for (const auto& report : breaker.reports()) static_cast<void>(describe(report));

    if (breaker.state() == State::open) clock.advance(metrics.retry_after);
    const auto permit = breaker.try_acquire();
    promise(permit.has_value() == (snapshot.state != State::forced_open), name + " admits what it should not, or not");
}

}  // namespace

void state(std::string_view text) {
    const auto breakers = parse_state(text);
    if (!breakers) {
        promise(!breakers.error().message.empty(), "a text is refused for no mistake");
        const auto lines = 1 + static_cast<std::size_t>(std::ranges::count(text, '\n'));
        promise(breakers.error().line <= lines, "the mistake is beyond the text");
        return;
    }
    const auto again = parse_state(format_state(*breakers));
    promise(again.has_value(), "what was read and written is refused: " + (again ? "" : again.error().message));
    promise(*again == *breakers, "what was read and written is not the same");
    for (const auto& [name, snapshot] : *breakers) promise_goes_on(name, snapshot);
}

}  // namespace fusebox::test::fuzz
