// How a call through `Hedge` runs: the state of the policy, the call with its attempts, and the bodies of hedge.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <expected>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <fusebox/policies/hedge.hpp>

namespace fusebox {

struct Hedge::State {
    Executor* executor;
    HedgeConfig config;
    RetryBudget budget;
    const Clock* clock;
    Sleeper* sleeper;
    // relaxed throughout: each is a counter by itself, and no other data is published with it.
    std::atomic<std::uint64_t> hedges{};
    std::atomic<std::uint64_t> hedge_wins{};
    std::atomic<std::uint64_t> over_budget{};
    std::atomic<std::uint64_t> no_room{};
};

/// One call with its attempts. Owned by the caller and every attempt together, so that a loser may end when it likes.
template <class Next>
class Hedge::Call {
public:
    using Answer = AnswerOf<Next>;

    explicit Call(Next next) : next_(std::move(next)) {}

    /// One attempt, as a task for the executor. Destroyed unrun it ends without an answer.
    class Task {
    public:
        Task(std::shared_ptr<Call> call, CallContext context, std::uint32_t number)
            : call_(std::move(call)), context_(std::move(context)), number_(number) {
            const std::lock_guard lock{call_->mutex};
            ++call_->running_;
        }
        Task(Task&& other) noexcept = default;
        Task& operator=(Task&&) = delete;
        ~Task() {
            if (call_) call_->end_unrun();
        }

        void operator()() {
            const auto call = std::move(call_);
            if (!call->begin_attempt()) return call->end_unrun();
            bool was_late = false;
            try {
                auto given = call->next_(context_.with_late_flag(&was_late));
                call->end_with_answer(number_, std::move(given), was_late);
            } catch (...) {
                call->end_with_exception(number_, std::current_exception());
            }
        }

    private:
        std::shared_ptr<Call> call_;
        CallContext context_;
        std::uint32_t number_;
    };

    /// Hands attempt `number` to the executor; 0 is the first. False: the executor has no room.
    [[nodiscard]] static bool submit(State& state, const std::shared_ptr<Call>& call, const CallContext& context,
                                     std::uint32_t number);
    /// Submits more attempts as time passes, until the call is over, the context ends or the caller stops it.
    static void wait(State& state, const std::shared_ptr<Call>& call, const CallContext& context);

    /// True when there is a value, or no attempt is left that could bring one. Needs the lock.
    [[nodiscard]] bool over() const noexcept { return (answer && answer->has_value()) || running_ == 0; }

    /// The caller waits no longer: no further attempt begins. Needs the lock. Gives whether any had begun.
    bool leave() noexcept {
        left_ = true;
        return began_;
    }

    std::mutex mutex;                     // guards all members of this class but `stop` and `next_`
    std::condition_variable_any changed;  // notified when an attempt ends
    // What the caller gets: the first value, else what the earliest attempt ended with, an error in `answer` or an
    // exception in `thrown`.
    std::optional<Answer> answer;
    std::exception_ptr thrown;
    std::uint32_t winner{std::numeric_limits<std::uint32_t>::max()};  // the number of the attempt that it came from
    bool late{};            // the attempt that gave `answer` missed a deadline
    std::stop_source stop;  // ends the attempts

private:
    // False: the call was decided while the attempt stood in the queue.
    bool begin_attempt() {
        const std::lock_guard lock{mutex};
        if (left_ || stop.stop_requested()) return false;  // stopped without having left: where the wait threw
        began_ = true;
        return true;
    }
    // Each attempt ends by exactly one of these three functions, none of which throws: `running_` goes down once for
    // each attempt. Otherwise the caller would wait for an attempt that has ended.
    void end_unrun() noexcept {
        const std::lock_guard lock{mutex};
        end_attempt();
    }
    void end_with_answer(std::uint32_t number, Answer&& given, bool was_late) noexcept {
        const std::lock_guard lock{mutex};
        end_attempt();
        if (answer && answer->has_value()) return;
        if (!given && number > winner) return;
        winner = number;
        late = was_late;
        thrown = nullptr;
        try {
            answer.emplace(std::move(given));
        } catch (...) {
            answer.reset();
            thrown = std::current_exception();
        }
    }
    void end_with_exception(std::uint32_t number, std::exception_ptr error) noexcept {
        const std::lock_guard lock{mutex};
        end_attempt();
        if ((answer && answer->has_value()) || number > winner) return;
        answer.reset();
        thrown = std::move(error);
        winner = number;
    }
    // With the lock held.
    void end_attempt() noexcept {
        --running_;
        changed.notify_all();
    }

    Next next_;
    std::uint32_t running_{};  // attempts that have not ended: those that run, and those in the executor's queue
    bool began_{};             // an attempt has begun
    bool left_{};              // the caller waits no longer
};

template <class Next>
bool Hedge::Call<Next>::submit(State& state, const std::shared_ptr<Call>& call, const CallContext& context,
                               std::uint32_t number) {
    const auto attempt_context = context.tightened(*state.clock, {}).with_stop_token(call->stop.get_token());
    if (state.executor->try_submit(Task{call, attempt_context, number})) return true;
    state.no_room.fetch_add(1, std::memory_order_relaxed);
    return false;
}

template <class Next>
void Hedge::Call<Next>::wait(State& state, const std::shared_ptr<Call>& call, const CallContext& context) {
    std::uint32_t hedges = 0;
    bool may_hedge = true;
    std::unique_lock lock{call->mutex};
    while (true) {
        auto patience = may_hedge ? state.config.delay : Duration::max();
        if (const auto remaining = context.remaining()) patience = std::min(patience, *remaining);
        if (state.sleeper->wait(lock, call->changed, patience, context.stop_token(), [&] { return call->over(); }))
            return;
        if (context.stop_requested() || context.expired()) return;
        if (!may_hedge) continue;
        if (!state.budget.try_spend()) {
            state.over_budget.fetch_add(1, std::memory_order_relaxed);
            may_hedge = false;
            continue;
        }
        lock.unlock();
        const bool submitted = submit(state, call, context, hedges + 1);
        lock.lock();
        if (submitted) state.hedges.fetch_add(1, std::memory_order_relaxed);
        may_hedge = submitted && ++hedges < state.config.max_hedges;
    }
}

template <class Next>
AnswerOf<Next> Hedge::execute(const CallContext& context, Next&& next) const {
    using Answer = AnswerOf<Next>;
    using Owned = Call<std::decay_t<Next>>;
    auto& state = *state_;
    const auto started = state.clock->now();
    const auto call = std::make_shared<Owned>(std::forward<Next>(next));
    // However this call ends, the attempts are told that nobody waits for them any more: with no lock held.
    struct StopAtEnd {
        std::stop_source& stop;
        ~StopAtEnd() { stop.request_stop(); }
    } const stop_at_end{call->stop};
    state.budget.record_request();
    if (!Owned::submit(state, call, context, 0)) {
        return Answer{std::unexpect, Rejection{.kind = Rejection::Kind::bulkhead_full}};
    }
    Owned::wait(state, call, context);

    const std::lock_guard lock{call->mutex};
    const bool began = call->leave();
    if (call->over()) {
        if (call->answer) {
            if (call->late) context.mark_late();
            if (*call->answer && call->winner > 0) state.hedge_wins.fetch_add(1, std::memory_order_relaxed);
            return std::move(*call->answer);
        }
        if (call->thrown) std::rethrow_exception(call->thrown);
        return Answer{std::unexpect, InternalError{"the executor ended before the call was made"}};
    }
    if (context.expired()) return Answer{std::unexpect, TimeoutError{state.clock->now() - started, began}};
    return Answer{std::unexpect, InternalError{"the caller stopped the call"}};
}

}  // namespace fusebox
