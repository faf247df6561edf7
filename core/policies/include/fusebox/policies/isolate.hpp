// Runs calls on a bounded pool, so that code that ignores deadlines cannot hold its caller.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/executor.hpp>
#include <fusebox/policies/policy.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

/// What an `Isolate` is built with besides its limit. All optional.
struct IsolateOptions {
    const Clock* clock{&steady_clock()};  ///< must outlive the policy and its calls
    Sleeper* sleeper{&system_sleeper()};  ///< must outlive the policy
};

/// The totals since the policy was made.
struct IsolateMetrics {
    std::uint32_t left_running{};  ///< now: calls that nobody waits for any more and that still hold a thread
    std::uint64_t timeouts{};      ///< callers that left at the deadline
    std::uint64_t never_began{};   ///< of them, those for whose call no thread came free until then
    std::uint64_t rejected{};      ///< calls for which the executor had no room, or that it never began before it ended
    std::uint64_t dropped_values{};  ///< values that came when the caller had left
    std::uint64_t dropped_errors{};  ///< errors and exceptions likewise
};

/// The isolated form of a call (R34; elsewhere: thread isolation, pessimistic timeout): the operation runs on an
/// executor, and the caller leaves at the deadline, whatever the operation does. The executor's size bounds how many
/// threads a dependency that hangs can hold. For code that keeps the deadline of its context, `Timeout` costs less.
///
/// The deadline is `limit` from now or that of the context, whichever is earlier; without either the call is waited
/// for without end. Gives
///
/// - `bulkhead_full` at once where the executor has no room: the operation does not run. An executor that ends refuses
///   what it has not begun likewise;
/// - `TimeoutError` at the deadline. While the operation runs, a breaker outside records a timeout then and there.
///   Where no thread came free until then (`began` is false) the operation never runs, and a breaker outside takes it
///   as neutral: who hangs is another one, perhaps another dependency's;
/// - `InternalError` where the caller's stop token ended the wait: neutral for a breaker outside.
///
/// Once the caller has left, the stop token of the operation's own context is triggered, so that code that looks at it
/// can end. What it still returns or throws is counted and dropped: a value that matters even when it is late belongs
/// in a call that is not isolated (R33). An answer that comes after the deadline but before the caller has left is
/// treated as `Timeout` does.
///
/// The operation is moved into shared ownership and may run on after the call has returned: what it refers to must live
/// until then. Where the caller got an answer, nothing of the operation is left on the executor.
///
/// A handle. Thread contract: any thread at any time, but for a thread of the executor: waiting there for a call that
/// needs a thread can wait for ever. The policy may be destroyed while calls run on; the executor must outlive the
/// calls that wait.
///
///     fusebox::ThreadPool pool{{.threads = 8, .queue_capacity = 0}};
///     fusebox::Isolate isolate{pool, 2s};
///     auto answer = fusebox::call_with(isolate, [library, key] { return library->look_up(key); });
class Isolate {
public:
    static constexpr bool detaches_calls = true;

    /// `limit` is above 0 and at most 10 years, or `InvalidConfig` is thrown; without one, only the context's deadline
    /// counts.
    explicit Isolate(Executor& executor, std::optional<Duration> limit = {}, IsolateOptions options = {});

    /// `next` is moved onto the executor.
    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const;

    [[nodiscard]] IsolateMetrics metrics() const noexcept;
    [[nodiscard]] std::string describe() const;

private:
    struct State {
        Executor* executor;
        std::optional<Duration> limit;
        const Clock* clock;
        Sleeper* sleeper;
        // relaxed throughout: counters that nothing depends on.
        std::atomic<std::uint32_t> left_running{};
        std::atomic<std::uint64_t> timeouts{};
        std::atomic<std::uint64_t> never_began{};
        std::atomic<std::uint64_t> rejected{};
        std::atomic<std::uint64_t> dropped_values{};
        std::atomic<std::uint64_t> dropped_errors{};
    };
    template <class Next>
    class Call;

    std::shared_ptr<State> state_;
};

/// One call, owned by its caller and its task together.
template <class Next>
class Isolate::Call {
public:
    using Answer = AnswerOf<Next>;
    enum class Phase : std::uint8_t {
        queued,
        running,
        ended,    // with an answer or an exception
        refused,  // the executor destroyed the task unrun
    };

    Call(std::shared_ptr<State> state, Next next, const CallContext& context)
        : state_(std::move(state)),
          next_(std::move(next)),
          context_(context.with_stop_token(stop_.get_token()).with_late_flag(&late)) {}

    class Task {
    public:
        explicit Task(std::shared_ptr<Call> call) noexcept : call_(std::move(call)) {}
        Task(Task&& other) noexcept = default;
        Task& operator=(Task&&) = delete;
        ~Task() {
            if (call_) call_->refuse();
        }
        void operator()() { std::exchange(call_, nullptr)->run(); }

    private:
        std::shared_ptr<Call> call_;
    };

    /// Waits until the call is over, the context ends or the caller stops it.
    void wait(const CallContext& context) {
        std::unique_lock lock{mutex_};
        const auto over = [this] { return phase_ != Phase::queued && phase_ != Phase::running; };
        while (!over() && !context.expired() && !context.stop_requested()) {
            const auto patience = context.remaining().value_or(Duration::max());
            state_->sleeper->wait(lock, changed_, patience, context.stop_token(), over);
        }
    }

    /// The caller waits no longer. Gives how far the call had come; queued, it will never run.
    Phase leave() {
        Phase phase{};
        {
            const std::lock_guard lock{mutex_};
            left_ = true;
            phase = phase_;
            if (phase == Phase::running) state_->left_running.fetch_add(1, std::memory_order_relaxed);
        }
        if (phase == Phase::running) stop_.request_stop();  // with no lock held: it calls what the operation registered
        return phase;
    }

    // Written by the task before the phase is `ended`, read by the caller afterwards; the lock orders the two.
    std::optional<Answer> answer;
    std::exception_ptr thrown;
    bool late{};

private:
    void run() {
        {
            const std::lock_guard lock{mutex_};
            if (left_) return;  // the caller was told that it never ran
            phase_ = Phase::running;
        }
        try {
            answer.emplace((*next_)(context_));
        } catch (...) {
            thrown = std::current_exception();
        }
        next_.reset();
        const std::lock_guard lock{mutex_};
        phase_ = Phase::ended;
        changed_.notify_all();
        if (!left_) return;
        state_->left_running.fetch_sub(1, std::memory_order_relaxed);
        auto& dropped = answer && *answer ? state_->dropped_values : state_->dropped_errors;
        dropped.fetch_add(1, std::memory_order_relaxed);
    }
    void refuse() {
        const std::lock_guard lock{mutex_};
        phase_ = Phase::refused;
        changed_.notify_all();
    }

    const std::shared_ptr<State> state_;
    std::optional<Next> next_;  // the task's
    std::stop_source stop_;     // ends the operation; needs no lock
    const CallContext context_;
    std::mutex mutex_;  // guards the phase and whether the caller has left
    std::condition_variable_any changed_;
    Phase phase_{Phase::queued};
    bool left_{};
};

template <class Next>
AnswerOf<Next> Isolate::execute(const CallContext& context, Next&& next) const {
    using Answer = AnswerOf<Next>;
    using Owned = Call<std::decay_t<Next>>;
    using Phase = typename Owned::Phase;
    auto& state = *state_;
    const auto begun = state.clock->now();
    const auto limit = state.limit ? std::optional{begun + *state.limit} : std::nullopt;
    const auto inner = context.tightened(*state.clock, limit);
    const auto refused = [&] {
        state.rejected.fetch_add(1, std::memory_order_relaxed);
        return Answer{std::unexpect, Rejection{.kind = Rejection::Kind::bulkhead_full}};
    };

    const auto call = std::make_shared<Owned>(state_, std::forward<Next>(next), inner);
    if (!state.executor->try_submit(typename Owned::Task{call})) return refused();
    try {
        call->wait(inner);
    } catch (...) {
        call->leave();
        throw;
    }
    const auto phase = call->leave();
    if (phase == Phase::ended) {
        const bool passed = inner.deadline() && state.clock->now() > *inner.deadline();
        if (passed || call->late) context.mark_late();
        if (call->thrown) std::rethrow_exception(call->thrown);
        if (passed && !*call->answer && call->answer->error().operation_error() != nullptr) {
            return Answer{std::unexpect, TimeoutError{*inner.deadline() - begun}};
        }
        return *std::move(call->answer);
    }
    if (phase == Phase::refused) return refused();
    if (!inner.expired()) return Answer{std::unexpect, InternalError{"the caller stopped the call"}};
    state.timeouts.fetch_add(1, std::memory_order_relaxed);
    if (phase == Phase::queued) state.never_began.fetch_add(1, std::memory_order_relaxed);
    return Answer{std::unexpect, TimeoutError{state.clock->now() - begun, phase != Phase::queued}};
}

/// `CircuitBreaker::call` in the isolated form: `std::expected<T, CallError<E>>`. The breaker's `operation_timeout` is
/// the deadline, unless `isolate` or `options` have an earlier one. The permit is settled when the caller gets its
/// answer: a timeout at the deadline, whatever the operation does later; neutral where it never ran or the caller
/// stopped it.
///
///     auto answer = fusebox::call_isolated(breaker, isolate, [library, key] { return library->look_up(key); });
template <class Op>
auto call_isolated(CircuitBreaker& breaker, const Isolate& isolate, Op&& op, const CallOptions& options = {}) {
    using Next = detail::LiftedShared<std::decay_t<Op>>;
    if (options.late != nullptr) *options.late = false;
    const auto context = CallContext{breaker.clock(), options.deadline, options.stop}.with_late_flag(options.late);
    const auto isolated = [&, next = Next{std::forward<Op>(op)}](const CallContext& inner) {
        return isolate.execute(inner, next);
    };
    return BreakerPolicy{breaker}.execute(context, isolated, options.trace_id);
}

}  // namespace fusebox
