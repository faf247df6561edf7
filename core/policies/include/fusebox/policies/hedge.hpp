// Starts a second attempt when the first is slow, and takes whichever answers first.
#pragma once

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
#include <string>
#include <type_traits>
#include <utility>

#include <fusebox/core/clock.hpp>
#include <fusebox/policies/executor.hpp>
#include <fusebox/policies/policy.hpp>
#include <fusebox/policies/retry_budget.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

struct HedgeConfig {
    /// Without an answer for this long another attempt starts; above 0, at most 1 day; default 100 ms. A good value is
    /// the 95th percentile of the dependency's response time.
    Duration delay{std::chrono::milliseconds{100}};
    std::uint32_t max_hedges{1};  ///< attempts beside the first; 1 … 10; default 1
    bool operator==(const HedgeConfig&) const = default;
};

/// What a hedge is built with besides its configuration. All optional.
struct HedgeOptions {
    /// Pays for every attempt but the first; shared with whatever retries calls to this dependency. Default: one of its
    /// own, with a ratio of 0.1 and the budget's other defaults.
    std::optional<RetryBudget> budget{};
    const Clock* clock{&steady_clock()};  ///< must outlive the policy
    Sleeper* sleeper{&system_sleeper()};  ///< must outlive the policy
};

/// Since the policy was made.
struct HedgeMetrics {
    std::uint64_t hedges{};       ///< attempts beside the first
    std::uint64_t hedge_wins{};   ///< calls that one of those answered
    std::uint64_t over_budget{};  ///< calls that could not hedge because the budget had nothing left
    std::uint64_t no_room{};      ///< attempts that the executor had no room for
};

namespace detail {

/// The attempts of one call. Owned by the caller and every attempt together, so that a loser may end when it likes.
template <class Next>
class Race {
public:
    using Answer = AnswerOf<Next>;

    explicit Race(Next next) : next_(std::move(next)) {}

    /// One attempt, as a task. Destroyed unrun it ends without an answer.
    class Attempt {
    public:
        Attempt(std::shared_ptr<Race> race, CallContext context, std::uint32_t number)
            : race_(std::move(race)), context_(std::move(context)), number_(number) {
            const std::lock_guard lock{race_->mutex};
            ++race_->running_;
        }
        Attempt(Attempt&& other) noexcept = default;
        Attempt& operator=(Attempt&&) = delete;
        ~Attempt() {
            if (race_) race_->end();
        }

        void operator()() {
            const auto race = std::move(race_);
            if (!race->begin()) return race->end();
            bool was_late = false;
            try {
                auto given = race->next_(context_.with_late_flag(&was_late));
                race->end(number_, std::move(given), was_late);
            } catch (...) {
                race->end(number_, std::current_exception());
            }
        }

    private:
        std::shared_ptr<Race> race_;
        CallContext context_;
        std::uint32_t number_;
    };

    /// True when there is a value, or no attempt is left that could bring one. Needs the lock.
    [[nodiscard]] bool over() const noexcept { return (answer && answer->has_value()) || running_ == 0; }

    /// The caller waits no longer: no further attempt begins. Needs the lock. Gives whether any had begun.
    bool leave() noexcept {
        left_ = true;
        return began_;
    }

    std::mutex mutex;                     // guards what follows
    std::condition_variable_any changed;  // notified when an attempt ended
    std::optional<Answer> answer;         // the first value, else the error of the earliest attempt
    std::exception_ptr thrown;            // likewise, where an attempt threw
    std::uint32_t winner{std::numeric_limits<std::uint32_t>::max()};  // the number of that attempt
    bool late{};                                                      // and whether its value came late
    std::stop_source stop;                                            // ends the attempts; needs no lock

private:
    // False where the call was decided while the attempt stood in the queue.
    bool begin() {
        const std::lock_guard lock{mutex};
        if (left_ || stop.stop_requested()) return false;  // stopped without having left: where the wait threw
        began_ = true;
        return true;
    }
    // Each notifies before it writes, with the lock held: a move that throws can then keep nobody waiting.
    void end() {
        const std::lock_guard lock{mutex};
        --running_;
        changed.notify_all();
    }
    void end(std::uint32_t number, Answer&& given, bool was_late) {
        const std::lock_guard lock{mutex};
        --running_;
        changed.notify_all();
        if (answer && answer->has_value()) return;
        if (!given && number > winner) return;
        answer.emplace(std::move(given));
        thrown = nullptr;
        winner = number;
        late = was_late;
    }
    void end(std::uint32_t number, std::exception_ptr error) {
        const std::lock_guard lock{mutex};
        --running_;
        changed.notify_all();
        if ((answer && answer->has_value()) || number > winner) return;
        answer.reset();
        thrown = std::move(error);
        winner = number;
    }

    Next next_;
    // Guarded by mutex, too.
    std::uint32_t running_{};
    bool began_{};  // any attempt
    bool left_{};
};

}  // namespace detail

/// Cuts the slowest calls short: without an answer after `delay`, calls a second time beside the first, as long as the
/// budget allows, and gives the first value. An error is given only when no attempt is left: that of the earliest one.
/// Only for operations that may be made twice.
///
/// Every attempt runs on the executor. The operation is shared by them: it must be safe to call from several threads at
/// once, and what it refers to must live until the last attempt has ended, which can be after the call has returned.
/// Losers are told to stop through the stop token of their context; their answers are dropped. A `BreakerPolicy` inside
/// sees each attempt: a loser that ends with an error once it was told to stop is neutral, one that brings a value is a
/// success.
///
/// Gives `bulkhead_full` where the executor has no room for the first attempt, `TimeoutError` at the context's
/// deadline, and `InternalError` where the caller's stop token ended the wait, without waiting for attempts that go on.
/// Where no attempt got a thread until the deadline (`began` is false) none ever runs, and a breaker outside takes it
/// as neutral.
///
/// A handle. Thread contract: any thread at any time, but for a thread of the executor: waiting there for an attempt
/// that needs a thread can wait for ever.
///
///     fusebox::ThreadPool pool{{.threads = 8}};
///     fusebox::Hedge hedge{pool, {.delay = 50ms}};
///     auto answer = fusebox::call_with(hedge, [client, key](const fusebox::CallContext& c) { return client->get(key,
///     c); });
class Hedge {
public:
    static constexpr bool detaches_calls = true;

    /// Throws `InvalidConfig`. `executor` must outlive the policy and its calls.
    explicit Hedge(Executor& executor, const HedgeConfig& config = {}, HedgeOptions options = {});

    /// `next` is moved into the attempts and may be called after `execute` has returned.
    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const;

    [[nodiscard]] HedgeMetrics metrics() const noexcept;
    [[nodiscard]] std::string describe() const;

private:
    struct State {
        Executor* executor;
        HedgeConfig config;
        RetryBudget budget;
        const Clock* clock;
        Sleeper* sleeper;
        // relaxed throughout: counters that nothing depends on.
        std::atomic<std::uint64_t> hedges{};
        std::atomic<std::uint64_t> hedge_wins{};
        std::atomic<std::uint64_t> over_budget{};
        std::atomic<std::uint64_t> no_room{};
    };

    /// Starts attempts and waits until the race is over, the context ends or the caller stops it.
    template <class Next>
    static void run(State& state, const std::shared_ptr<detail::Race<Next>>& race, const CallContext& context);
    template <class Next>
    [[nodiscard]] static bool start(State& state, const std::shared_ptr<detail::Race<Next>>& race,
                                    const CallContext& context, std::uint32_t number);

    std::shared_ptr<State> state_;
};

template <class Next>
bool Hedge::start(State& state, const std::shared_ptr<detail::Race<Next>>& race, const CallContext& context,
                  std::uint32_t number) {
    const auto attempt_context = context.tightened(*state.clock, {}).with_stop_token(race->stop.get_token());
    if (state.executor->try_submit(typename detail::Race<Next>::Attempt{race, attempt_context, number})) return true;
    state.no_room.fetch_add(1, std::memory_order_relaxed);
    return false;
}

template <class Next>
void Hedge::run(State& state, const std::shared_ptr<detail::Race<Next>>& race, const CallContext& context) {
    std::uint32_t hedges = 0;
    bool may_hedge = true;
    std::unique_lock lock{race->mutex};
    while (true) {
        auto patience = may_hedge ? state.config.delay : Duration::max();
        if (const auto remaining = context.remaining()) patience = std::min(patience, *remaining);
        if (state.sleeper->wait(lock, race->changed, patience, context.stop_token(), [&] { return race->over(); }))
            return;
        if (context.stop_requested() || context.expired()) return;
        if (!may_hedge) continue;
        if (!state.budget.try_spend()) {
            state.over_budget.fetch_add(1, std::memory_order_relaxed);
            may_hedge = false;
            continue;
        }
        lock.unlock();
        const bool started = start(state, race, context, hedges + 1);
        lock.lock();
        if (started) state.hedges.fetch_add(1, std::memory_order_relaxed);
        may_hedge = started && ++hedges < state.config.max_hedges;
    }
}

template <class Next>
AnswerOf<Next> Hedge::execute(const CallContext& context, Next&& next) const {
    using Answer = AnswerOf<Next>;
    auto& state = *state_;
    const auto begun = state.clock->now();
    const auto race = std::make_shared<detail::Race<std::decay_t<Next>>>(std::forward<Next>(next));
    // However this call ends, the attempts are told that nobody waits for them any more: with no lock held.
    struct StopAtEnd {
        std::stop_source& stop;
        ~StopAtEnd() { stop.request_stop(); }
    } const stop_at_end{race->stop};
    state.budget.record_request();
    if (!start(state, race, context, 0)) {
        return Answer{std::unexpect, Rejection{.kind = Rejection::Kind::bulkhead_full}};
    }
    run(state, race, context);

    const std::lock_guard lock{race->mutex};
    const bool began = race->leave();
    if (race->over()) {
        if (race->answer) {
            if (race->late) context.mark_late();
            if (*race->answer && race->winner > 0) state.hedge_wins.fetch_add(1, std::memory_order_relaxed);
            return std::move(*race->answer);
        }
        if (race->thrown) std::rethrow_exception(race->thrown);
        return Answer{std::unexpect, InternalError{"the executor ended before the call was made"}};
    }
    if (context.expired()) return Answer{std::unexpect, TimeoutError{state.clock->now() - begun, began}};
    return Answer{std::unexpect, InternalError{"the caller stopped the call"}};
}

}  // namespace fusebox
