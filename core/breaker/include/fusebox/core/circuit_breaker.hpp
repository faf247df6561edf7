// The circuit breaker: decides whether a dependency may be called, judges how the calls end, opens and recovers.
#pragma once

#include <fusebox/core/detail/standard_library.hpp>  // before <expected>, which an old library does not have

#include <cstdint>
#include <exception>
#include <expected>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fusebox/core/breaker_options.hpp>
#include <fusebox/core/breaker_snapshot.hpp>
#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/call_options.hpp>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/circuit_breaker_metrics.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/admission.hpp>
#include <fusebox/core/detail/sync.hpp>
#include <fusebox/core/events.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/settlement.hpp>
#include <fusebox/core/state.hpp>
#include <fusebox/core/subscription.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox {

namespace detail {
class CallInFlight;
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
    /// caller to say: a permit alone is not compared with its deadline, as a call is (R33).
    void settle(Outcome outcome, const Settlement& settlement = {}) noexcept;
    void success() noexcept;
    void failure() noexcept { settle(Outcome::failure); }
    void ignore() noexcept { settle(Outcome::ignored); }

    [[nodiscard]] std::uint64_t generation() const noexcept;
    /// True for a call admitted in half-open.
    [[nodiscard]] bool is_probe() const noexcept;
    /// Deadline by `operation_timeout`, for the operation to keep (R32). Not for a permit that was settled or moved
    /// from.
    [[nodiscard]] CallContext context(const std::stop_token& stop = {}) const;

private:
    friend class CircuitBreaker;
    friend class detail::CallInFlight;

    /// Not admitted yet.
    Permit() = default;
    Permit(CircuitBreaker& breaker, const detail::Admission& admission) noexcept
        : breaker_(&breaker), admission_(admission) {}
    /// Gives the admission to whoever settles it now.
    detail::Admission release() noexcept {
        breaker_ = nullptr;
        return admission_;
    }

    CircuitBreaker* breaker_{};  // null once settled or moved from
    detail::Admission admission_;
};

/// One circuit breaker. Thread contract: every member function may be called from any thread at any time, listeners
/// included. Not movable; the registry hands out `std::shared_ptr<CircuitBreaker>`.
///
/// `op` is called as `op(const CallContext&)` or `op()` and returns either
///   - `std::expected<T, E>`: an error value is judged by `Outcome outcome_of(const E&)` where argument-dependent
///     look-up finds one, else it is a failure; or
///   - `T`, and throws: then `E` is `std::exception_ptr`, judged by `BreakerOptions::classify_exception`, else a
///     failure. An operation that returns `expected` and still throws: the exception is recorded as a failure and
///     passes through.
///
/// An operation that returns a coroutine or another awaitable does not compile: the call would end before the awaitable
/// has run. `co_call` of `<fusebox/policies/coroutine.hpp>` is for those.
///
/// Of an error two more things are taken. `std::optional<Duration> retry_after_of(const E&)`, where argument-dependent
/// look-up finds one, is the dependency's hint (R29). Its words go into the reports (R40), and so perhaps before the
/// eyes of many: `std::string_view message_of(const E&)` where there is one, else what the error has in place and need
/// not make (its text, `what()`, `message()`, `message`, `to_string`).
///
///     fusebox::CircuitBreaker breaker{"payments"};
///     auto answer = breaker.call([&](const fusebox::CallContext& ctx) { return client.charge(card, ctx); });
///     if (!answer && answer.error().is_circuit_protection()) return queue_for_later(card);
class CircuitBreaker {
public:
    /// Throws `InvalidConfig`, or `std::invalid_argument` for an empty name or one longer than 128 bytes, for no clock
    /// and for a `report_capacity` that is out of range.
    explicit CircuitBreaker(std::string name, const CircuitBreakerConfig& config = {}, BreakerOptions options = {});
    CircuitBreaker(std::string name, SharedConfig config, BreakerOptions options = {});
    CircuitBreaker(const CircuitBreaker&) = delete;
    CircuitBreaker& operator=(const CircuitBreaker&) = delete;
    ~CircuitBreaker();

    // ---- calls ----
    /// Allocates nothing, throws nothing, and never waits for a call, a probe slot, a store or another thread's
    /// listener (R6, R7). In closed, disabled and metrics_only admission is one atomic load and a clock read; a
    /// rejection is a few loads and, unless forced open, a clock read. A short lock is taken only where a call may
    /// become a probe: at the retry time, or when a probe slot looks free or a lease has run out. With
    /// `hung_call_threshold` set, every admission takes a short lock of its own.
    [[nodiscard]] std::expected<Permit, Rejection> try_acquire() noexcept;
    /// Runs `op` if admitted: `std::expected<T, CallError<E>>`.
    template <class Op>
    auto call(Op&& op);
    template <class Op>
    auto call(Op&& op, const CallOptions& options);
    /// As `call`, with `classify(const std::expected<T, E>&) -> Outcome` judging the result of this call.
    template <class Op, class Classify>
    auto call_classified(Op&& op, Classify&& classify, const CallOptions& options = {});
    /// The throwing form: `T`, or `CircuitOpenError`, or what `op` threw. For operations that throw. What moving the
    /// value throws passes through, and the call is a success all the same.
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
    /// The newest report whose `to` is open or forced open; empty if it never opened (R6). After a restart still why
    /// the circuit had opened, and not that it was restored.
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
    /// Permits in flight stay valid, the state stays, and a retry time that was promised stays (R51). A window keeps
    /// what it holds unless it changes its kind; where a time window is divided anew, for up to one of the old slices
    /// longer. Turning `enabled` off leads from closed, open or half-open to disabled, turning it on from disabled to
    /// closed. New thresholds are judged with the next outcome. Throws `InvalidConfig` and changes nothing when
    /// `config` is bad.
    void reconfigure(const CircuitBreakerConfig& config, std::string_view actor = {}, std::string_view note = {});

    // ---- saving and restoring (R52) ----
    /// What of it outlives the process; changes nothing.
    [[nodiscard]] BreakerSnapshot snapshot() const;
    /// Goes on where `snapshot` was taken; meant for a breaker that was just made, but right at any time.
    ///
    /// - open: open for the time it had left, which is bounded by the longest open time of this breaker's own
    ///   configuration (the snapshot may come from a longer one).
    /// - half_open: open with no time left: the next admission is a probe.
    /// - closed, forced_open, disabled, metrics_only: the same again, with an empty window. No transition, and the
    ///   window stays, where the breaker is in that state already.
    /// - With `enabled` off it is disabled, whatever the snapshot says.
    ///
    /// A change of state is a transition with the reason `restored`; it is no trip and no failed recovery. The
    /// snapshot's reports take the place of the breaker's own and keep their numbers, and the breaker goes on counting
    /// from the higher generation, so that no number is given twice; a call that was admitted before that is stale.
    /// Throws `InvalidSnapshot` for a snapshot that cannot be, and changes nothing.
    void restore(const BreakerSnapshot& snapshot);

    // ---- events ----
    /// The listener hears what happens from now on. More than 16384 undelivered events (a listener that does not
    /// return) are dropped, and counted as listener errors.
    Subscription subscribe(BreakerListener listener, EventMask mask = EventMask::control);

private:
    friend class Permit;
    friend class detail::CallInFlight;
    class Impl;

    // The word: generation << 3 | state.
    static constexpr State state_of(std::uint64_t word) noexcept { return static_cast<State>(word & 7U); }
    static constexpr std::uint64_t generation_of(std::uint64_t word) noexcept { return word >> 3U; }
    static constexpr bool admits_all(State state) noexcept {
        return state == State::closed || state == State::disabled || state == State::metrics_only;
    }

    /// In place of a time that nobody has read: later than the end of every slice of a time window, earlier than never.
    static constexpr TimePoint unmeasured{Duration{std::numeric_limits<Duration::rep>::max() - 1}};
    static constexpr TimePoint no_deadline = TimePoint::max();

    // Bodies of what is inline: detail/circuit_breaker_calls.hpp.

    /// Admission as a whole. Empty: the call is admitted. Otherwise `admission` is of no use.
    [[nodiscard]] std::optional<Rejection> admit(detail::Admission& admission) noexcept;
    /// R1, for the most frequent call. False: `admission` only has the word.
    [[nodiscard]] bool admits_at_once(detail::Admission& admission) const noexcept;
    /// R2, for the most frequent rejection: counts it and gives the open time that is left; zero where one has to look
    /// closely.
    [[nodiscard]] Duration reject_quickly(std::uint64_t word) noexcept;
    /// Every other admission and rejection.
    [[nodiscard]] std::expected<Permit, Rejection> acquire() noexcept;

    /// For the most frequent end of a call: a plain success. False where it takes more to record it, and nothing was
    /// done.
    [[nodiscard]] bool succeed_quickly(std::uint64_t word, TimePoint started, TimePoint ended) noexcept;
    void settle(const detail::Admission& admission, Outcome outcome, TimePoint ended,
                const Settlement& settlement) noexcept;
    void settle(const detail::Admission& admission, Outcome outcome, TimePoint ended,
                std::string_view trace_id) noexcept;
    void abandon(const detail::Admission& admission) noexcept;

    [[nodiscard]] TimePoint now() const noexcept;
    /// When a call ended: now, or `unmeasured` where nobody wants to know.
    [[nodiscard]] TimePoint end_of(const detail::Admission& admission, TimePoint deadline) const noexcept;
    /// The earlier of the configured deadline and `limit`.
    [[nodiscard]] TimePoint deadline_of(const detail::Admission& admission,
                                        TimePoint limit = no_deadline) const noexcept;
    [[nodiscard]] CallContext context_until(TimePoint deadline, const std::stop_token& stop) const;

    /// `BreakerOptions::classify_exception`.
    [[nodiscard]] Outcome classify_exception(const std::exception_ptr& error) const noexcept;
    /// What the error of an operation says by itself.
    template <class Error>
    [[nodiscard]] Outcome classify(const Error& error) const;
    /// The same where the operation is a call through policies.
    template <class Error>
    [[nodiscard]] Outcome classify_inside(const CallError<Error>& error) const;
    /// `call` and `call_classified`: `classify` gives the outcome that the result of `op` says by itself.
    template <class Op, class Classify>
    auto call_guarded(Op&& op, Classify&& classify, TimePoint limit, const std::stop_token& stop, bool* late,
                      std::string_view trace_id);
    void record_fallback(bool failed) noexcept;

    // What every admission reads, on one cache line that only transitions and reconfigurations write.
    alignas(64) detail::Atomic<std::uint64_t> word_{};
    detail::Atomic<bool> watching_{};  // hung_call_threshold is set
    detail::Atomic<bool> measuring_{true};
    const bool by_steady_clock_;
    detail::Atomic<Duration::rep> operation_timeout_{};  // 0: none
    detail::Atomic<TimePoint::rep> retry_at_{};          // of the last transition to open
    detail::Atomic<Duration::rep> open_for_{};           // of the last transition to open
    const Clock* clock_;
    std::unique_ptr<Impl> impl_;
    const std::string* name_{};  // in *impl_, so that the members above have the cache line to themselves
};

}  // namespace fusebox

#include <fusebox/core/detail/call_in_flight.hpp>  // and, after it, the bodies of the functions that are inline
