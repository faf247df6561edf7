// Tells an operation how well its dependency is, so that it can do less instead of failing.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fusebox/policies/breaker_policy.hpp>

namespace fusebox {

enum class DegradationLevel : std::uint8_t {
    normal,    ///< do everything
    degraded,  ///< half-open, or the failure rate is past its mark: do less
    critical,  ///< open or forced open: do without the dependency
};
/// `normal`, `degraded` or `critical`.
[[nodiscard]] std::string_view to_string(DegradationLevel level) noexcept;

struct DegradationConfig {
    double degraded_failure_rate{
        0.25};  ///< share of failures in the breaker's window from which on; (0, 1]; default 0.25
    std::uint32_t minimum_requests{10};  ///< outcomes in the window before the rate is judged; ≥ 1; default 10
    /// How long a judged rate is taken for good; 0 … 1 minute; default 100 ms. Reading it costs a snapshot of the
    /// metrics.
    Duration refresh{std::chrono::milliseconds{100}};
    bool operator==(const DegradationConfig&) const = default;
};

/// Derives a level from a breaker, in both directions and without anybody's doing: normal, degraded, critical.
///
/// A handle: copies share the switch. Thread contract: any thread at any time.
///
///     fusebox::GracefulDegradation degradation{breaker};
///     auto answer = degradation.call([&](fusebox::DegradationLevel level) {
///         if (level == fusebox::DegradationLevel::critical) return cached_answer(question);
///         return ask_model(question, level == fusebox::DegradationLevel::normal ? large : small);
///     });
class GracefulDegradation {
public:
    /// Throws `InvalidConfig`.
    explicit GracefulDegradation(std::shared_ptr<CircuitBreaker> breaker, const DegradationConfig& config = {});

    /// The level now. An open breaker stays critical until a call has probed it, also when its retry time has come:
    /// reading changes no state (R5). Normal while switched off.
    [[nodiscard]] DegradationLevel level() const;
    [[nodiscard]] bool is_degraded() const { return level() != DegradationLevel::normal; }

    /// Off: `level` is normal and `call` is the breaker alone. On at first.
    void set_enabled(bool on) noexcept;
    [[nodiscard]] bool enabled() const noexcept;

    /// Runs `op(DegradationLevel, const CallContext&)` or `op(DegradationLevel)`: `std::expected<T, CallError<E>>`.
    ///
    /// With the breaker's leave the level is normal or degraded, and the outcome counts. Where the breaker refuses,
    /// `op` runs with critical, outside the breaker: it must not touch the dependency then, and what it gives is the
    /// answer.
    template <class Op>
    auto call(Op&& op, const CallContext& context = {}) const;

private:
    struct Shared;
    [[nodiscard]] static bool rate_is_high(Shared& shared);

    BreakerPolicy breaker_;
    std::shared_ptr<Shared> shared_;
};

template <class Op>
auto GracefulDegradation::call(Op&& op, const CallContext& context) const {
    const auto at = [&op](DegradationLevel level) {
        return [&op, level](const CallContext& inner) -> decltype(auto) {
            if constexpr (std::is_invocable_v<Op&, DegradationLevel, const CallContext&>) {
                return std::invoke(op, level, inner);
            } else {
                return std::invoke(op, level);
            }
        };
    };
    bool admitted = false;
    auto answer = call_with(
        breaker_,
        [&](const CallContext& inner) -> decltype(auto) {
            admitted = true;
            // Whoever was admitted may use the dependency, although the breaker may have opened since.
            return at(std::min(level(), DegradationLevel::degraded))(inner);
        },
        context);
    if (admitted || !enabled()) return answer;
    auto critical = at(DegradationLevel::critical);
    return detail::answer_of_operation(critical, context);
}

}  // namespace fusebox
