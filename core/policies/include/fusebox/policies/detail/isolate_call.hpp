// How a call through `Isolate` runs: the state of the policy, the call, and the bodies of isolate.hpp.
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
#include <type_traits>
#include <utility>

#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/detail/late_error.hpp>
#include <fusebox/policies/detail/operation_answer.hpp>
#include <fusebox/policies/isolate.hpp>

namespace fusebox {

struct Isolate::State {
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

    /// The call as a task for the executor. Destroyed unrun it ends without an answer.
    class Task {
    public:
        explicit Task(std::shared_ptr<Call> call) noexcept : call_(std::move(call)) {}
        Task(Task&& other) noexcept = default;
        Task& operator=(Task&&) = delete;
        ~Task() {
            if (call_) call_->end_unrun();
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
    void end_unrun() {
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
    const auto started = state.clock->now();
    const auto limit = state.limit ? std::optional{started + *state.limit} : std::nullopt;
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
        if (passed) detail::late_error_to_timeout(*call->answer, *inner.deadline() - started);
        return *std::move(call->answer);
    }
    if (phase == Phase::refused) return refused();
    if (!inner.expired()) return Answer{std::unexpect, InternalError{"the caller stopped the call"}};
    state.timeouts.fetch_add(1, std::memory_order_relaxed);
    if (phase == Phase::queued) state.never_began.fetch_add(1, std::memory_order_relaxed);
    return Answer{std::unexpect, TimeoutError{state.clock->now() - started, phase != Phase::queued}};
}

template <class Op>
auto call_isolated(CircuitBreaker& breaker, const Isolate& isolate, Op&& op, const CallOptions& options) {
    using Next = detail::SharedOperation<std::decay_t<Op>>;
    if (options.late != nullptr) *options.late = false;
    const auto context = CallContext{breaker.clock(), options.deadline, options.stop}.with_late_flag(options.late);
    const auto isolated = [&, next = Next{std::forward<Op>(op)}](const CallContext& inner) {
        return isolate.execute(inner, next);
    };
    return BreakerPolicy{breaker}.execute(context, isolated, options.trace_id);
}

}  // namespace fusebox
