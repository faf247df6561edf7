// Writes down what breakers tell, in order, for tests to look at.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/events.hpp>

namespace fusebox::testkit {

/// What a recorder has heard.
struct RecordedEvent {
    std::string breaker;  ///< its name
    TimePoint at{};       ///< on the breaker's clock, when it was heard
    BreakerEvent event;
};
/// One line: "payments: closed -> open (consecutive_failures)", "payments: success in 250ms", "payments: rejected
/// (circuit_open)".
[[nodiscard]] std::string describe(const RecordedEvent& recorded);

/// Listens to breakers and keeps every event, in the order in which they were told: a transition before the call that
/// caused it. What it gives are plain values and lines of text, which every test framework can compare and print.
///
/// Thread contract: any thread at any time. Queries never wait: they give what was told so far. A breaker may be
/// destroyed before the recorder, or after it.
///
///     fusebox::testkit::OutcomeRecorder recorder{breaker};
///     // … calls …
///     CHECK(recorder.transitions() == std::vector<std::string>{"closed -> open (consecutive_failures)"});
class OutcomeRecorder {
public:
    /// Listens to nobody until `watch` or `listener` is called.
    OutcomeRecorder();
    explicit OutcomeRecorder(CircuitBreaker& breaker, EventMask mask = EventMask::all);

    /// Listens to one more breaker. Watched twice, a breaker is heard twice.
    void watch(CircuitBreaker& breaker, EventMask mask = EventMask::all);
    /// For whoever subscribes by himself, to a registry say: `registry.subscribe_breakers(recorder.listener())`. May
    /// outlive the recorder.
    [[nodiscard]] BreakerListener listener() const;

    // Where a breaker's name is given, only its events count; without a name those of all.
    [[nodiscard]] std::vector<RecordedEvent> events(std::string_view breaker = {}) const;
    /// Those of one kind: `recorder.of<RequestRejectedEvent>()`.
    template <class Event>
    [[nodiscard]] std::vector<Event> of(std::string_view breaker = {}) const {
        std::vector<Event> found;
        for (auto& recorded : events(breaker)) {
            if (auto* event = std::get_if<Event>(&recorded.event)) found.push_back(std::move(*event));
        }
        return found;
    }
    /// "closed -> open (consecutive_failures)", oldest first.
    [[nodiscard]] std::vector<std::string> transitions(std::string_view breaker = {}) const;
    /// How the calls ended, oldest first.
    [[nodiscard]] std::vector<Outcome> outcomes(std::string_view breaker = {}) const;
    /// How many calls ended so.
    [[nodiscard]] std::size_t count(Outcome outcome, std::string_view breaker = {}) const;
    /// How many calls were rejected.
    [[nodiscard]] std::size_t rejections(std::string_view breaker = {}) const;
    /// Every event as `describe` gives it, one a line: what to print where a check fails.
    [[nodiscard]] std::string text(std::string_view breaker = {}) const;

    /// Forgets what was told so far.
    void clear();

private:
    struct Log;
    std::shared_ptr<Log> log_;  // shared with the listeners: a delivery may be under way when the recorder ends
    std::vector<Subscription> subscriptions_;  // guarded by the log's mutex
};

}  // namespace fusebox::testkit
