// The circuit breaker: decides whether a dependency may be called, judges how the calls end, opens and recovers.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fusebox/core/breaker_snapshot.hpp>
#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/circuit_breaker_metrics.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/call_shape.hpp>
#include <fusebox/core/detail/error_text.hpp>
#include <fusebox/core/detail/retry_hint.hpp>
#include <fusebox/core/detail/sync.hpp>
#include <fusebox/core/events.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>
#include <fusebox/core/subscription.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox {

class CircuitBreaker;

/// Called with every event it subscribed to, with no lock held (R37). It may call any method of the breaker. What it
/// throws is counted and swallowed.
///
/// Per-call events arrive on the thread of the call. The other events arrive one after the other, in order, on the thread
/// that caused them, or on the one that is delivering already: no thread waits for another one's listener. Keep a listener
/// short all the same: the call that caused the event does not go on before it returns.
using BreakerListener = std::function<void(const CircuitBreaker&, const BreakerEvent&)>;

/// What a listener wants to hear. Per-call events cost nothing while nobody wants them (R36).
enum class EventMask : std::uint8_t {
    control = 1,  ///< transitions, would-have-tripped, configuration changes, restored states, fallbacks
    calls = 2,    ///< every executed and every rejected request
    all = 3,
};

/// What is known about a call that ended, beyond its outcome. All optional.
struct Settlement {
    std::optional<Duration> duration{};  ///< measured elsewhere; default: clock now − admission
    /// The dependency's own hint; can lengthen the open time (R29). It holds until it has passed or the circuit closes.
    std::optional<Duration> retry_after{};
    std::string_view message{};   ///< short, for the reports; cut at 96 bytes; never a secret
    std::string_view trace_id{};  ///< cut at 32 bytes
};

namespace detail {
/// What an error says by itself.
template <class E>
[[nodiscard]] Settlement settlement_of(const E& error) {
    return {.retry_after = retry_hint(error), .message = error_view(error)};
}
/// What a breaker knows of a call that it admitted. Functions that are not inline get a reference to a copy: the compiler keeps
/// the one of a call in registers only if nobody takes its address.
struct Admission {
    std::uint64_t word{};    // of the breaker at that moment: generation and state
    TimePoint started{};     // or CircuitBreaker::unmeasured
    std::uint64_t ticket{};  // of the probe's lease, or of the entry among the watched calls; 0: neither
    std::uint32_t slot{};    // where that ticket lies

    /// Field by field; see above.
    [[nodiscard]] Admission copy() const noexcept { return {word, started, ticket, slot}; }
};
}  // namespace detail

/// Leave to make one call. Move-only, settles once; dropped unsettled it counts as abandoned and frees its slot (R9).
/// One thread at a time. The breaker must outlive it.
///
///     if (auto permit = breaker.try_acquire()) {
///         permit->settle(send(message) ? fusebox::Outcome::success : fusebox::Outcome::failure);
///     } else {
///         retry_later(permit.error().retry_after);
///     }
class [[nodiscard]] Permit {
public:
    Permit(Permit&& other) noexcept : breaker_(std::exchange(other.breaker_, nullptr)), admission_(other.admission_) {}
    Permit& operator=(Permit&& other) noexcept;
    ~Permit();

    /// Settling a permit twice, or one that was moved from, does nothing. Whether the outcome is a timeout is for the
    /// caller to say; only `call` and `run` compare with the deadline (R33).
    void settle(Outcome outcome, const Settlement& settlement = {}) noexcept;
    void success() noexcept;
    void failure() noexcept { settle(Outcome::failure); }
    void ignore() noexcept { settle(Outcome::ignored); }

    [[nodiscard]] std::uint64_t generation() const noexcept;
    /// True for a call admitted in half-open.
    [[nodiscard]] bool is_probe() const noexcept;
    /// Deadline by `operation_timeout`, for the operation to keep (R32). Not for a permit that was settled or moved from.
    [[nodiscard]] CallContext context(const std::stop_token& stop = {}) const;

private:
    friend class CircuitBreaker;

    Permit(CircuitBreaker& breaker, const detail::Admission& admission) noexcept
        : breaker_(&breaker), admission_(admission) {}
    /// For who settles it otherwise.
    detail::Admission release() noexcept {
        breaker_ = nullptr;
        return admission_;
    }

    CircuitBreaker* breaker_;  // null once settled or moved from
    detail::Admission admission_;
};

/// How one call is made. All optional.
struct CallOptions {
    /// Overrides the configured `operation_timeout` when earlier.
    std::optional<TimePoint> deadline{};
    std::stop_token stop{};
    /// Set when the operation returned after its deadline: recorded as a timeout, its value still returned (R33).
    bool* late{};
    /// For the reports, if the call does not end well; cut at 32 bytes (R40). What it views must outlive the call.
    std::string_view trace_id{};
};

/// When `call_with_fallback` runs its fallback.
enum class FallbackOn : std::uint8_t { rejection, any_failure };

/// What a breaker is built with besides its configuration. All optional.
struct BreakerOptions {
    const Clock* clock{&steady_clock()};  ///< must outlive the breaker
    std::optional<std::uint64_t> seed{};  ///< of the jitter generator (R28); default: random
    /// Judges exceptions of operations that throw; default: every exception is a failure.
    std::function<Outcome(const std::exception_ptr&)> classify_exception{};
    std::size_t report_capacity{16};  ///< reports kept (R40); 1 … 1024
};

/// One circuit breaker. Thread contract: every member function may be called from any thread at any time, listeners
/// included. Not movable; the registry hands out `std::shared_ptr<CircuitBreaker>`.
///
/// `op` is called as `op(const CallContext&)` or `op()` and returns either
///   - `std::expected<T, E>`: an error value is judged by `Outcome outcome_of(const E&)` where argument-dependent
///     look-up finds one, else it is a failure; or
///   - `T`, and throws: then `E` is `std::exception_ptr`, judged by `BreakerOptions::classify_exception`, else a failure.
///     An operation that returns `expected` and still throws: the exception is recorded as a failure and passes through.
///
/// Of an error two more things are taken. `std::optional<Duration> retry_after_of(const E&)`, where argument-dependent
/// look-up finds one, is the dependency's hint (R29). Its words go into the reports (R40), and so perhaps before the eyes of
/// many: `std::string_view message_of(const E&)` where there is one, else what the error has in place and need not make
/// (its text, `what()`, `message()`, `message`, `to_string`).
///
///     fusebox::CircuitBreaker breaker{"payments"};
///     auto answer = breaker.call([&](const fusebox::CallContext& ctx) { return client.charge(card, ctx); });
///     if (!answer && answer.error().is_circuit_protection()) return queue_for_later(card);
class CircuitBreaker {
public:
    /// Throws `InvalidConfig`, or `std::invalid_argument` for an empty name or one longer than 128 bytes, for no clock and
    /// for a `report_capacity` that is out of range.
    explicit CircuitBreaker(std::string name, const CircuitBreakerConfig& config = {}, BreakerOptions options = {});
    CircuitBreaker(std::string name, SharedConfig config, BreakerOptions options = {});
    CircuitBreaker(const CircuitBreaker&) = delete;
    CircuitBreaker& operator=(const CircuitBreaker&) = delete;
    ~CircuitBreaker();

    // ---- calls ----
    /// Allocates nothing, throws nothing, and never waits for a call, a probe slot, a store or another thread's listener
    /// (R6, R7). In closed, disabled and metrics_only admission is one atomic load and a clock read; a rejection is a few
    /// loads and, unless forced open, a clock read. A short lock is taken only where a call may become a probe: at the
    /// retry time, or when a probe slot looks free or a lease has run out. With `hung_call_threshold` set, every admission
    /// takes a short lock of its own.
    [[nodiscard]] std::expected<Permit, Rejection> try_acquire() noexcept {
        detail::Admission admission;
        if (admits_at_once(admission)) [[likely]]
            return Permit{*this, admission};
        if (const auto left = reject_quickly(admission.word); left > Duration::zero()) {
            return std::expected<Permit, Rejection>{std::unexpect, Rejection::Kind::circuit_open, State::open, left,
                                                    generation_of(admission.word)};
        }
        return acquire();
    }
    /// Runs `op` if admitted: `std::expected<T, CallError<E>>`.
    template <class Op>
    auto call(Op&& op);
    template <class Op>
    auto call(Op&& op, const CallOptions& options);
    /// As `call`, with `classify(const std::expected<T, E>&) -> Outcome` judging the result of this call.
    template <class Op, class Classify>
    auto call_classified(Op&& op, Classify&& classify, const CallOptions& options = {});
    /// The throwing form: `T`, or `CircuitOpenError`, or what `op` threw. For operations that throw. What moving the value
    /// throws passes through, and the call is a success all the same.
    template <class Op>
    auto run(Op&& op, const CallOptions& options = {});
    /// As `call`; where it gives an error that `on` covers, returns what `fallback(const CallError<E>&)` or
    /// `fallback()` returns (a `T`). A fallback that throws gives `InternalError` naming both errors.
    template <class Op, class Fallback>
    auto call_with_fallback(Op&& op, Fallback&& fallback, FallbackOn on = FallbackOn::rejection,
                            const CallOptions& options = {});

    // ---- reading; none of these changes the state (R5) ----
    [[nodiscard]] const std::string& name() const noexcept { return *name_; }
    // acquire: pairs with the release in Impl::transition.
    [[nodiscard]] State state() const noexcept { return state_of(word_.load(std::memory_order_acquire)); }
    /// 0 at first, then the sequence of the newest transition.
    [[nodiscard]] std::uint64_t generation() const noexcept {
        return generation_of(word_.load(std::memory_order_acquire));
    }
    [[nodiscard]] CircuitBreakerMetrics metrics() const;
    [[nodiscard]] CircuitBreakerConfig config() const;
    /// The newest report whose `to` is open or forced open; empty if it never opened (R6). After a restart still why the
    /// circuit had opened, and not that it was restored.
    [[nodiscard]] std::optional<TransitionReport> last_trip() const;
    /// The last transitions, newest first (R40).
    [[nodiscard]] std::vector<TransitionReport> reports() const;
    [[nodiscard]] const Clock& clock() const noexcept { return *clock_; }

    // ---- control (R50); each is a transition, hence an event with who and why, even into the state it is in ----
    /// `actor` is cut at 64 bytes and `note` at 192.
    /// To closed, or to disabled where the configuration says `enabled = false`, with an empty window.
    void reset(std::string_view actor = {}, std::string_view note = {});
    void force_open(std::string_view actor = {}, std::string_view note = {});
    /// Opens with normal recovery; where it is open already the open time starts anew.
    void trip(std::string_view actor = {}, std::string_view note = {});
    void disable(std::string_view actor = {}, std::string_view note = {});
    void metrics_only(std::string_view actor = {}, std::string_view note = {});
    /// Permits in flight stay valid, the state stays, and a retry time that was promised stays (R51). A window keeps what
    /// it holds unless it changes its kind; where a time window is divided anew, for up to one of the old slices longer.
    /// Turning `enabled` off leads from closed, open or half-open to disabled, turning it on from disabled to closed. New
    /// thresholds are judged with the next outcome. Throws `InvalidConfig` and changes nothing when `config` is bad.
    void reconfigure(const CircuitBreakerConfig& config, std::string_view actor = {}, std::string_view note = {});

    // ---- saving and restoring (R52) ----
    /// What of it outlives the process; changes nothing.
    [[nodiscard]] BreakerSnapshot snapshot() const;
    /// Goes on where `snapshot` was taken; meant for a breaker that was just made, but right at any time.
    ///
    /// - open: open for the time it had left, which is bounded by the longest open time of this breaker's own configuration
    ///   (the snapshot may come from a longer one).
    /// - half_open: open with no time left: the next admission is a probe.
    /// - closed, forced_open, disabled, metrics_only: the same again, with an empty window. No transition, and the window
    ///   stays, where the breaker is in that state already.
    /// - With `enabled` off it is disabled, whatever the snapshot says.
    ///
    /// A change of state is a transition with the reason `restored`; it is no trip and no failed recovery. The snapshot's
    /// reports take the place of the breaker's own and keep their numbers, and the breaker goes on counting from the higher
    /// generation, so that no number is given twice; a call that was admitted before that is stale. Throws
    /// `InvalidSnapshot` for a snapshot that cannot be, and changes nothing.
    void restore(const BreakerSnapshot& snapshot);

    // ---- events ----
    /// The listener hears what happens from now on. More than 16384 undelivered events (a listener that does not return)
    /// are dropped, and counted as listener errors.
    Subscription subscribe(BreakerListener listener, EventMask mask = EventMask::control);

private:
    friend class Permit;
    friend class BreakerPolicy;  // judges what pipelines give
    class Impl;

    // The word: generation << 3 | state.
    static constexpr State state_of(std::uint64_t word) noexcept { return static_cast<State>(word & 7U); }
    static constexpr std::uint64_t generation_of(std::uint64_t word) noexcept { return word >> 3U; }
    static constexpr bool admits_all(State state) noexcept {
        return state == State::closed || state == State::disabled || state == State::metrics_only;
    }

    /// In place of a time that nobody has read: later than the end of every slice of a time window, earlier than never.
    static constexpr TimePoint unmeasured{Duration{std::numeric_limits<Duration::rep>::max() - 1}};

    /// R1, for the most frequent call. False: `admission` only has the word.
    [[nodiscard, gnu::always_inline]] bool admits_at_once(detail::Admission& admission) const noexcept {
        // acquire: pairs with the release in Impl::transition, so that who sees a state sees what belongs to it.
        admission.word = word_.load(std::memory_order_acquire);
        // relaxed: a call that misses the switch by a moment is only not watched.
        if (!admits_all(state_of(admission.word)) || watching_.load(std::memory_order_relaxed)) [[unlikely]]
            return false;
        // relaxed: stands for itself.
        admission.started = measuring_.load(std::memory_order_relaxed) ? now() : unmeasured;
        return true;
    }
    /// R2, for the most frequent rejection: counts it and gives the open time that is left; zero where one has to look closely.
    [[nodiscard]] Duration reject_quickly(std::uint64_t word) noexcept;
    /// Everything else.
    [[nodiscard]] std::expected<Permit, Rejection> acquire() noexcept;
    /// For the most frequent end of a call: a plain success. False where it takes more to record it, and nothing was done.
    [[nodiscard]] bool succeed_quickly(std::uint64_t word, TimePoint started, TimePoint ended) noexcept;
    void settle(const detail::Admission& admission, Outcome outcome, TimePoint ended,
                const Settlement& settlement) noexcept;
    void abandon(const detail::Admission& admission) noexcept;
    void settle(const detail::Admission& admission, Outcome outcome, TimePoint ended,
                std::string_view trace_id) noexcept {
        if (outcome == Outcome::success && admission.ticket == 0 &&
            succeed_quickly(admission.word, admission.started, ended)) [[likely]] {
            return;
        }
        settle(admission.copy(), outcome, ended, Settlement{.trace_id = trace_id});
    }

    [[nodiscard]] TimePoint now() const noexcept { return by_steady_clock_ ? SteadyClock::read() : clock_->now(); }
    /// When a call ended, where anybody wants to know.
    [[nodiscard]] TimePoint end_of(const detail::Admission& admission, TimePoint deadline) const noexcept {
        return admission.started == unmeasured && deadline == no_deadline ? unmeasured : now();
    }
    static constexpr TimePoint no_deadline = TimePoint::max();
    /// The earlier of the configured deadline and `limit`.
    [[nodiscard]] TimePoint deadline_of(const detail::Admission& admission,
                                        TimePoint limit = no_deadline) const noexcept {
        // relaxed: a number that stands for itself.
        const auto timeout = operation_timeout_.load(std::memory_order_relaxed);
        if (timeout == 0 || admission.started == unmeasured) return limit;
        return std::min(limit, admission.started + Duration{timeout});
    }
    /// A call that ended after its deadline is a timeout (R33).
    static Outcome in_time(Outcome outcome, TimePoint ended, TimePoint deadline, bool* late) noexcept {
        if (ended <= deadline) [[likely]]
            return outcome;
        if (late != nullptr) *late = true;
        return Outcome::timeout;
    }
    [[nodiscard]] Outcome judge_exception(const std::exception_ptr& error) const noexcept;
    void record_fallback(bool failed) noexcept;

    template <class Value, class Error>
    [[nodiscard]] Outcome judge(const std::expected<Value, Error>& result) const;
    template <class Op, class Judge>
    auto execute(Op&& op, Judge&& judge, TimePoint limit, const std::stop_token& stop, bool* late,
                 std::string_view trace_id);
    [[nodiscard]] CallContext context_until(TimePoint deadline, const std::stop_token& stop) const;

    // What every admission reads, on one cache line that only transitions and reconfigurations write.
    alignas(64) detail::Atomic<std::uint64_t> word_{};
    detail::Atomic<bool> watching_{};  // hung_call_threshold is set
    detail::Atomic<bool> measuring_{true};
    const bool by_steady_clock_;
    detail::Atomic<Duration::rep> operation_timeout_{};  // 0: none
    detail::Atomic<TimePoint::rep> retry_at_{};          // of the last transition to open
    detail::Atomic<Duration::rep> open_for_{};           // likewise
    const Clock* clock_;
    std::unique_ptr<Impl> impl_;
    const std::string* name_{};  // in *impl_, so that what is above has the line to itself
};

inline Permit::~Permit() {
    if (breaker_ != nullptr) breaker_->abandon(admission_.copy());
}
inline std::uint64_t Permit::generation() const noexcept { return CircuitBreaker::generation_of(admission_.word); }
inline bool Permit::is_probe() const noexcept { return CircuitBreaker::state_of(admission_.word) == State::half_open; }

template <class Value, class Error>
Outcome CircuitBreaker::judge(const std::expected<Value, Error>& result) const {
    if (result) return Outcome::success;
    if constexpr (std::is_same_v<Error, std::exception_ptr>) {
        return judge_exception(result.error());
    } else if constexpr (detail::HasOutcomeOf<Error>) {
        return outcome_of(result.error());
    } else {
        return Outcome::failure;
    }
}

template <class Op, class Judge>
auto CircuitBreaker::execute(Op&& op, Judge&& judge, TimePoint limit, const std::stop_token& stop, bool* late,
                             std::string_view trace_id) {
    using Shape = detail::CallShape<Op>;
    using Error = typename Shape::Error;
    using Answer = std::expected<typename Shape::Value, CallError<Error>>;

    if (late != nullptr) *late = false;
    detail::Admission admission;
    if (!admits_at_once(admission)) [[unlikely]] {
        if (const auto left = reject_quickly(admission.word); left > Duration::zero()) {
            return Answer{std::unexpect,
                          Rejection{Rejection::Kind::circuit_open, State::open, left, generation_of(admission.word)}};
        }
        auto acquired = acquire();
        if (!acquired) return Answer{std::unexpect, acquired.error()};
        admission = acquired->release();
    }
    Permit permit{*this, admission};
    const auto deadline = deadline_of(admission, limit);
    const auto context = [&] { return context_until(deadline, stop); };

    auto result = [&]() -> typename Shape::Result {
        if constexpr (Shape::returns_expected) {
            try {
                return detail::invoke_operation(std::forward<Op>(op), context);
            } catch (...) {
                const auto ended = end_of(admission, deadline);
                const auto outcome = in_time(Outcome::failure, ended, deadline, late);
                auto settlement = detail::settlement_of(std::current_exception());
                settlement.trace_id = trace_id;
                settle(permit.release(), outcome, ended, settlement);
                throw;
            }
        } else {
            try {
                if constexpr (std::is_void_v<typename Shape::Value>) {
                    detail::invoke_operation(std::forward<Op>(op), context);
                    return {};
                } else {
                    return
                        typename Shape::Result{std::in_place, detail::invoke_operation(std::forward<Op>(op), context)};
                }
            } catch (...) {
                return std::unexpected{std::current_exception()};
            }
        }
    }();
    const auto ended = end_of(admission, deadline);
    const auto outcome = in_time(std::invoke(std::forward<Judge>(judge), std::as_const(result)), ended, deadline, late);
    if (result) [[likely]] {
        settle(permit.release(), outcome, ended, trace_id);
    } else {
        auto settlement = detail::settlement_of(result.error());
        settlement.trace_id = trace_id;
        settle(permit.release(), outcome, ended, settlement);
    }

    if (!result) return Answer{std::unexpect, OperationFailed<Error>{std::move(result).error()}};
    if constexpr (std::is_void_v<typename Shape::Value>) {
        return Answer{};
    } else {
        return Answer{std::in_place, *std::move(result)};
    }
}

// Without options none are made: reading back what was just written would cost as much as the rest of the call.
template <class Op>
auto CircuitBreaker::call(Op&& op) {
    return execute(std::forward<Op>(op), [this](const auto& result) { return this->judge(result); }, no_deadline, {},
                   nullptr, {});
}

template <class Op>
auto CircuitBreaker::call(Op&& op, const CallOptions& options) {
    return execute(
        std::forward<Op>(op), [this](const auto& result) { return this->judge(result); },
        options.deadline.value_or(no_deadline), options.stop, options.late, options.trace_id);
}

template <class Op, class Classify>
auto CircuitBreaker::call_classified(Op&& op, Classify&& classify, const CallOptions& options) {
    return execute(std::forward<Op>(op), std::forward<Classify>(classify), options.deadline.value_or(no_deadline),
                   options.stop, options.late, options.trace_id);
}

template <class Op>
auto CircuitBreaker::run(Op&& op, const CallOptions& options) {
    using Shape = detail::CallShape<Op>;
    static_assert(!Shape::returns_expected,
                  "run is for operations that throw; use call for those that return expected");

    if (options.late != nullptr) *options.late = false;
    auto permit = try_acquire();
    if (!permit) throw CircuitOpenError{permit.error()};
    const auto deadline = deadline_of(permit->admission_, options.deadline.value_or(no_deadline));
    const auto context = [&] { return context_until(deadline, options.stop); };
    const auto succeeded = [&] {
        const auto ended = end_of(permit->admission_, deadline);
        settle(permit->release(), in_time(Outcome::success, ended, deadline, options.late), ended, options.trace_id);
    };
    try {
        if constexpr (std::is_void_v<typename Shape::Value>) {
            detail::invoke_operation(std::forward<Op>(op), context);
            succeeded();
        } else {
            typename Shape::Value value = detail::invoke_operation(std::forward<Op>(op), context);
            succeeded();
            return value;
        }
    } catch (...) {
        if (permit->breaker_ == nullptr) throw;  // settled: only the value could not be handed on
        const auto ended = end_of(permit->admission_, deadline);
        const auto error = std::current_exception();
        const auto outcome = in_time(judge_exception(error), ended, deadline, options.late);
        auto settlement = detail::settlement_of(error);
        settlement.trace_id = options.trace_id;
        settle(permit->release(), outcome, ended, settlement);
        throw;
    }
}

template <class Op, class Fallback>
auto CircuitBreaker::call_with_fallback(Op&& op, Fallback&& fallback, FallbackOn on, const CallOptions& options) {
    using Value = typename detail::CallShape<Op>::Value;
    auto answer = call(std::forward<Op>(op), options);
    if (answer || (on == FallbackOn::rejection && !answer.error().is_circuit_protection())) return answer;
    try {
        const auto run_fallback = [&]() -> decltype(auto) {
            if constexpr (std::is_invocable_v<Fallback, decltype(std::as_const(answer).error())>) {
                return std::invoke(std::forward<Fallback>(fallback), std::as_const(answer).error());
            } else {
                return std::invoke(std::forward<Fallback>(fallback));
            }
        };
        if constexpr (std::is_void_v<Value>) {
            run_fallback();
            answer.emplace();
        } else {
            // Built before the error goes, so that what is thrown meanwhile can still name it.
            Value value = run_fallback();
            answer = std::move(value);
        }
    } catch (...) {
        record_fallback(true);
        return decltype(answer){std::unexpect,
                                InternalError{detail::both_errors(answer.error(), std::current_exception())}};
    }
    record_fallback(false);
    return answer;
}

}  // namespace fusebox
