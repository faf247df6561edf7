// What a breaker tells its listeners, and which of it they want to hear (R36).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>

#include <fusebox/core/call_error.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox {

class CircuitBreaker;

/// The circuit changed its state.
struct StateTransitionEvent {
    TransitionReport report;  ///< from, to, reason, sequence, time and why
};
/// A call that was admitted has ended.
struct RequestExecutedEvent {
    State state{};  ///< that admitted it
    Outcome outcome{};
    bool slow{};          ///< it took `slow_call_duration_threshold` or longer
    Duration duration{};  ///< since its admission, or as its `Settlement` says; ≥ 0
};
/// A call was refused.
struct RequestRejectedEvent {
    Rejection rejection;
};
/// A fallback stood in for a call.
struct FallbackExecutedEvent {
    bool failed{};  ///< the fallback failed as well
};
/// `CircuitBreaker::reconfigure` (R51).
struct ConfigChangedEvent {
    std::uint64_t config_version{};  ///< of the new configuration
    std::string actor;               ///< who asked
    std::string note;                ///< why
};
/// metrics_only: what closed would have done now (the transition was not made). Then the window starts anew, and
/// nothing more is reported for the open time. The report's sequence is the running generation.
struct WouldHaveTrippedEvent {
    TransitionReport report;
};

/// R52. Follows the transition that the restoring made, if it made one.
struct StateRestoredEvent {
    State saved{};         ///< the state of the snapshot
    State state{};         ///< the state that the breaker is in now
    Duration time_left{};  ///< open: until the first probe may be admitted
    WallTime taken_at{};   ///< when the snapshot was taken; for display only
};

/// One of them. A value.
///
/// A transition comes before the call that caused it: a listener that hears of the call finds the breaker as the call
/// left it.
using BreakerEvent = std::variant<StateTransitionEvent, RequestExecutedEvent, RequestRejectedEvent,
                                  FallbackExecutedEvent, ConfigChangedEvent, WouldHaveTrippedEvent, StateRestoredEvent>;

/// Called with every event it subscribed to, with no lock held (R37). It may call any method of the breaker. What it
/// throws is counted and swallowed.
///
/// Per-call events arrive on the thread of the call. The other events arrive one after the other, in order, on the
/// thread that caused them, or on a thread that is delivering events already: no thread waits for the listener of
/// another one. Keep a listener short all the same: the call that caused the event does not go on before the listener
/// returns.
///
///     auto subscription = breaker.subscribe([](const auto& breaker, const fusebox::BreakerEvent& event) {
///         if (const auto* transition = std::get_if<fusebox::StateTransitionEvent>(&event)) {
///             log(breaker.name(), to_string(transition->report.to));
///         }
///     });
using BreakerListener = std::function<void(const CircuitBreaker&, const BreakerEvent&)>;

/// What a listener wants to hear. Per-call events cost nothing while nobody wants them (R36).
enum class EventMask : std::uint8_t {
    control = 1,  ///< transitions, would-have-tripped, configuration changes, restored states, fallbacks
    calls = 2,    ///< every executed and every rejected request
    all = 3,
};

}  // namespace fusebox
