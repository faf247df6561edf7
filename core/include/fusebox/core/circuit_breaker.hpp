// The circuit breaker: decides whether a dependency may be called, judges how the calls end, opens and recovers.
#pragma once

#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/circuit_breaker_metrics.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/core/events.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox {

class CircuitBreaker;

/// Called with every event it subscribed to; on the thread that caused the event, with no lock held (R37). It may call
/// any method of the breaker. What it throws is counted and swallowed.
using BreakerListener = std::function<void(const CircuitBreaker&, const BreakerEvent&)>;

/// What a listener wants to hear. Per-call events cost nothing while nobody wants them (R36).
enum class EventMask : std::uint8_t {
    control = 1,  ///< transitions, would-have-tripped, configuration changes, fallbacks
    calls = 2,    ///< every executed and every rejected request
    all = 3,
};

/// Ends the subscription when destroyed. May outlive the breaker.
class [[nodiscard]] Subscription {
public:
    Subscription() = default;
    Subscription(Subscription&&) noexcept = default;
    Subscription& operator=(Subscription&&) noexcept;
    ~Subscription();
    /// Returns at once; a delivery that is under way on another thread may still finish.
    void cancel() noexcept;

private:
    friend class CircuitBreaker;
    std::function<void()> cancel_;
};

/// What is known about a call that ended, beyond its outcome. All optional.
struct Settlement {
    std::optional<Duration> duration{};     ///< measured elsewhere; default: clock now − admission
    std::optional<Duration> retry_after{};  ///< the dependency's own hint; can lengthen the open time (R29)
    std::string_view message{};             ///< short, for the reports; cut at 96 bytes; never a secret
    std::string_view trace_id{};            ///< cut at 32 bytes
};

/// Leave to make one call. Move-only, settles once; dropped unsettled it counts as abandoned and frees its slot (R9).
/// One thread at a time. The breaker must outlive it.
class [[nodiscard]] Permit {
public:
    Permit(Permit&& other) noexcept;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit();

    /// Settling a permit twice, or one that was moved from, does nothing.
    void settle(Outcome outcome, const Settlement& settlement = {}) noexcept;
    void success() noexcept { settle(Outcome::success); }
    void failure() noexcept { settle(Outcome::failure); }
    void ignore() noexcept { settle(Outcome::ignored); }

    [[nodiscard]] std::uint64_t generation() const noexcept;
    /// True for a call admitted in half-open.
    [[nodiscard]] bool is_probe() const noexcept;
    /// Deadline by `operation_timeout`, for the operation to keep (R32).
    [[nodiscard]] CallContext context(std::stop_token stop = {}) const;
};

/// How one call is made. All optional.
struct CallOptions {
    /// Overrides the configured `operation_timeout` when earlier.
    std::optional<TimePoint> deadline{};
    std::stop_token stop{};
    /// Set when the operation returned after its deadline: recorded as a timeout, its value still returned (R33).
    bool* late{};
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
///     fusebox::CircuitBreaker breaker{"payments"};
///     auto answer = breaker.call([&](const fusebox::CallContext& ctx) { return client.charge(card, ctx); });
///     if (!answer && answer.error().is_circuit_protection()) return queue_for_later(card);
class CircuitBreaker {
public:
    /// Throws `InvalidConfig`, or `std::invalid_argument` for an empty name or one longer than 128 bytes.
    explicit CircuitBreaker(std::string name, const CircuitBreakerConfig& config = {}, BreakerOptions options = {});
    CircuitBreaker(const CircuitBreaker&) = delete;
    CircuitBreaker& operator=(const CircuitBreaker&) = delete;
    ~CircuitBreaker();

    // ---- calls ----
    /// Never blocks, allocates nothing, throws nothing (R6, R7).
    [[nodiscard]] std::expected<Permit, Rejection> try_acquire() noexcept;
    /// Runs `op` if admitted: `std::expected<T, CallError<E>>`.
    template <class Op>
    auto call(Op&& op, const CallOptions& options = {});
    /// As `call`, with `classify(const std::expected<T, E>&) -> Outcome` judging the result of this call.
    template <class Op, class Classify>
    auto call_classified(Op&& op, Classify&& classify, const CallOptions& options = {});
    /// The throwing form: `T`, or `CircuitOpenError`, or what `op` threw. For operations that throw.
    template <class Op>
    auto run(Op&& op, const CallOptions& options = {});
    /// As `call`; where it gives an error that `on` covers, returns what `fallback(const CallError<E>&)` or
    /// `fallback()` returns (a `T`). A fallback that throws gives `InternalError` naming both errors.
    template <class Op, class Fallback>
    auto call_with_fallback(Op&& op, Fallback&& fallback, FallbackOn on = FallbackOn::rejection,
                            const CallOptions& options = {});

    // ---- reading; none of these changes the state (R5) ----
    [[nodiscard]] const std::string& name() const noexcept;
    [[nodiscard]] State state() const noexcept;
    [[nodiscard]] std::uint64_t generation() const noexcept;
    [[nodiscard]] CircuitBreakerMetrics metrics() const;
    [[nodiscard]] CircuitBreakerConfig config() const;
    /// The newest report whose `to` is open or forced open; empty if it never opened (R6).
    [[nodiscard]] std::optional<TransitionReport> last_trip() const;
    /// The last transitions, newest first (R40).
    [[nodiscard]] std::vector<TransitionReport> reports() const;
    [[nodiscard]] const Clock& clock() const noexcept;

    // ---- control (R50); each is a transition, hence an event with who and why ----
    void reset(std::string_view actor = {}, std::string_view note = {});
    void force_open(std::string_view actor = {}, std::string_view note = {});
    /// Opens with normal recovery.
    void trip(std::string_view actor = {}, std::string_view note = {});
    void disable(std::string_view actor = {}, std::string_view note = {});
    void metrics_only(std::string_view actor = {}, std::string_view note = {});
    /// Window and state are kept where they still make sense; permits in flight stay valid (R51). Throws `InvalidConfig`
    /// and changes nothing when `config` is bad.
    void reconfigure(const CircuitBreakerConfig& config, std::string_view actor = {}, std::string_view note = {});

    // ---- events ----
    Subscription subscribe(BreakerListener listener, EventMask mask = EventMask::control);
};

}  // namespace fusebox
