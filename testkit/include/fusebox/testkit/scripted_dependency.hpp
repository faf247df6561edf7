// A dependency that does what a script says, and remembers how it was called.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/manual_clock.hpp>
#include <fusebox/testkit/fault_plan.hpp>

namespace fusebox::testkit {

/// One call of a scripted dependency.
struct CallRecord {
    CallContext context;               ///< as it was handed down: deadline and stop token
    TimePoint started{};               ///< on the script's clock
    std::optional<TimePoint> ended{};  ///< none while the call is under way
};

/// An operation for breakers and other policies that answers by a script and takes its time on a manual clock.
///
/// With an error type `E` a call gives `std::expected<T, E>`; without one it gives `T` and throws.
///
/// The script is a list of steps, each for one call unless `times` says otherwise. The last step answers for ever,
/// until another one is added. `times`, `taking`, `giving_up_with` and `held` say more about the step that was added
/// last.
///
/// A handle: copies share script and records, so it can be handed to a policy by value. Thread contract: any thread at
/// any time. Calls that overlap take their times on the clock one after the other.
///
///     fusebox::ManualClock clock;
///     fusebox::testkit::ScriptedDependency<std::string, std::string> rates{clock};
///     rates.succeed("1.09").times(2).fail("connection refused").times(3).succeed("1.10").taking(2s);
///     auto answer = breaker.call(rates);   // "1.09"
///     CHECK(rates.calls() == 1);
template <class T, class E = std::exception_ptr>
class ScriptedDependency {
    static constexpr bool throws_errors = std::is_same_v<E, std::exception_ptr>;

public:
    using Result = std::expected<T, E>;
    using Returned = std::conditional_t<throws_errors, T, Result>;

    /// `clock` must outlive the dependency and its copies. A call before the first step is added throws
    /// `std::logic_error`.
    explicit ScriptedDependency(ManualClock& clock) : state_(std::make_shared<State>(clock)) {}
    /// Begins with one step for each of `results`.
    ScriptedDependency(ManualClock& clock, std::vector<Result> results) : ScriptedDependency(clock) {
        for (auto& result : results) answer(std::move(result));
    }

    // ---- the script: steps ----
    template <class Value = T>
    ScriptedDependency& succeed(Value&& value)
        requires(!std::is_void_v<T>)
    {
        return answer(Result{std::in_place, std::forward<Value>(value)});
    }
    ScriptedDependency& succeed()
        requires(std::is_void_v<T>)
    {
        return answer(Result{});
    }
    ScriptedDependency& fail(E error) { return answer(Result{std::unexpect, std::move(error)}); }
    ScriptedDependency& answer(Result result) { return add({.result = std::move(result)}); }
    /// Throws a copy of `exception`, also where the dependency gives `expected`: as a client with a bug does.
    template <class Exception>
    ScriptedDependency& throws(Exception exception) {
        return add({.thrown = std::make_exception_ptr(std::move(exception))});
    }
    /// Follows `plan`, whose time starts now: each call takes the plan's latency, then gives `good` or, where the plan
    /// says that it fails, `error`. For all calls to come, since the plan has an answer for each.
    ScriptedDependency& follow(FaultPlan plan, Result good, E error) {
        return add({.result = std::move(good),
                    .faults = std::make_shared<const Faults>(std::move(plan), std::move(error), state_->clock->now())});
    }

    // ---- the script: more about the step that was added last; `std::logic_error` where there is none ----
    /// So many calls; `std::invalid_argument` for 0.
    ScriptedDependency& times(std::uint64_t calls) {
        if (calls == 0) throw std::invalid_argument{"a step of a script is for at least 1 call"};
        return change([&](Step& step) { step.times = calls; });
    }
    /// So much time passes on the clock before the answer, whatever the call's deadline; of a plan, on top of its
    /// latency. `std::invalid_argument` below zero.
    ScriptedDependency& taking(Duration time) {
        if (time < Duration::zero()) throw std::invalid_argument{"a call cannot take less than no time"};
        return change([&](Step& step) { step.taking = time; });
    }
    /// Keeps the deadline of its context (R32), as a good client does: where that comes before the answer, time passes
    /// until the deadline and the answer is `error`; so it is when a stop was requested. A deadline must be on the
    /// script's clock.
    ScriptedDependency& giving_up_with(E error) {
        return change([&](Step& step) { step.gives_up = std::move(error); });
    }
    /// Hangs: blocks the calling thread until `release`; with `giving_up_with` no longer than until the deadline has
    /// come on the clock or a stop was requested. A call that nobody released for 20 seconds of real time throws
    /// `std::logic_error`.
    ScriptedDependency& held() {
        return change([](Step& step) { step.held = true; });
    }

    /// Lets all calls go that are held now.
    void release() {
        {
            const std::lock_guard lock{state_->mutex};
            ++state_->releases;
        }
        state_->changed.notify_all();
    }

    // ---- the dependency ----
    Returned operator()(const CallContext& context = {}) const {
        auto result = state_->play(context);
        if constexpr (throws_errors) {
            if (!result) std::rethrow_exception(result.error());
            if constexpr (!std::is_void_v<T>) return *std::move(result);
        } else {
            return result;
        }
    }

    // ---- what was seen ----
    /// Calls that began.
    [[nodiscard]] std::size_t calls() const {
        const std::lock_guard lock{state_->mutex};
        return state_->records.size();
    }
    /// Calls under way.
    [[nodiscard]] std::size_t in_flight() const {
        const std::lock_guard lock{state_->mutex};
        return state_->in_flight;
    }
    /// The most calls that were ever under way at once.
    [[nodiscard]] std::size_t most_in_flight() const {
        const std::lock_guard lock{state_->mutex};
        return state_->most_in_flight;
    }
    /// Every call, in the order in which they began.
    [[nodiscard]] std::vector<CallRecord> records() const {
        const std::lock_guard lock{state_->mutex};
        return state_->records;
    }
    /// Waits until `count` calls have begun; a held one is held by then. False after `patience` of real time.
    [[nodiscard]] bool wait_for_calls(std::size_t count,
                                      std::chrono::milliseconds patience = std::chrono::seconds{20}) const {
        std::unique_lock lock{state_->mutex};
        return state_->changed.wait_for(lock, patience, [&] { return state_->records.size() >= count; });
    }

private:
    struct Faults {
        FaultPlan plan;
        E error;
        TimePoint start;
    };
    struct Step {
        std::optional<Result> result{};  // none: throws
        std::exception_ptr thrown{};
        std::shared_ptr<const Faults> faults{};
        std::uint64_t times{1};
        Duration taking{};
        std::optional<E> gives_up{};
        bool held{};
    };

    struct Turn {
        Step step;               // a copy, for the script may grow meanwhile
        std::uint64_t number{};  // of the call within its step, from 0
        std::size_t record{};
        std::uint64_t releases{};  // when the call began
    };

    struct State {
        explicit State(ManualClock& manual_clock) : clock(&manual_clock) {}

        Result play(const CallContext& context);
        Turn begin(const CallContext& context);
        void end(std::size_t record);
        bool wait(const Turn& turn, Duration time, const CallContext& context);
        bool wait_for_release(const Turn& turn, const CallContext& context);

        ManualClock* clock;
        std::mutex mutex;                 // guards what follows
        std::condition_variable changed;  // notified when a call began and when calls were released
        std::vector<Step> steps;
        std::size_t position{};  // of the running step
        std::uint64_t played{};  // calls that it has answered
        std::uint64_t releases{};
        std::vector<CallRecord> records;
        std::size_t in_flight{};
        std::size_t most_in_flight{};
    };

    ScriptedDependency& add(Step step) {
        const std::lock_guard lock{state_->mutex};
        state_->steps.push_back(std::move(step));
        return *this;
    }
    template <class Change>
    ScriptedDependency& change(Change change) {
        const std::lock_guard lock{state_->mutex};
        if (state_->steps.empty()) throw std::logic_error{"the script has no step yet"};
        change(state_->steps.back());
        return *this;
    }

    std::shared_ptr<State> state_;
};

template <class T, class E>
auto ScriptedDependency<T, E>::State::play(const CallContext& context) -> Result {
    const auto turn = begin(context);
    struct End {
        State& state;
        std::size_t record;
        ~End() { state.end(record); }
    } const end_of_call{*this, turn.record};

    const auto& step = turn.step;
    std::optional<Fault> fault;
    if (step.faults) fault = step.faults->plan.at(turn.number, clock->now() - step.faults->start);
    const auto time = step.taking + (fault ? fault->latency : Duration::zero());
    if (!wait(turn, time, context)) return Result{std::unexpect, *step.gives_up};
    if (step.thrown) std::rethrow_exception(step.thrown);
    if (fault && fault->fails) return Result{std::unexpect, step.faults->error};
    return *step.result;
}

template <class T, class E>
auto ScriptedDependency<T, E>::State::begin(const CallContext& context) -> Turn {
    const std::lock_guard lock{mutex};
    if (steps.empty()) throw std::logic_error{"a scripted dependency was called before its script had a step"};
    if (played >= steps[position].times && position + 1 < steps.size()) {
        ++position;
        played = 0;
    }
    records.push_back({.context = context, .started = clock->now()});
    most_in_flight = std::max(most_in_flight, ++in_flight);
    changed.notify_all();
    return {steps[position], played++, records.size() - 1, releases};
}

template <class T, class E>
void ScriptedDependency<T, E>::State::end(std::size_t record) {
    const std::lock_guard lock{mutex};
    records[record].ended = clock->now();
    --in_flight;
}

/// Lets the call hang and its time pass. False: it gave up.
template <class T, class E>
bool ScriptedDependency<T, E>::State::wait(const Turn& turn, Duration time, const CallContext& context) {
    const bool gives_up = turn.step.gives_up.has_value();
    if (gives_up && (context.stop_requested() || context.expired())) return false;
    if (turn.step.held && !wait_for_release(turn, context)) return false;
    const auto left = gives_up ? context.remaining() : std::nullopt;
    clock->advance(left ? std::min(*left, time) : time);
    return !left || *left >= time;
}

template <class T, class E>
bool ScriptedDependency<T, E>::State::wait_for_release(const Turn& turn, const CallContext& context) {
    const auto lost = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    std::unique_lock lock{mutex};
    const auto released = [&] { return releases > turn.releases; };
    while (!released()) {
        if (turn.step.gives_up && (context.stop_requested() || context.expired())) return false;
        if (std::chrono::steady_clock::now() >= lost) {
            throw std::logic_error{"a held call was not released within 20 s of real time"};
        }
        // A manual clock tells nobody that it was moved, so look again every millisecond.
        changed.wait_for(lock, std::chrono::milliseconds{1}, released);
    }
    return true;
}

}  // namespace fusebox::testkit
