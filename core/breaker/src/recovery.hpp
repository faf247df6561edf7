// Recovery in half-open: which probes are in flight, until when, and what their outcomes decide (R4, R20–R25).
//
// P1. The probes are changed under the breaker's mutex only. Rejections do not take that mutex: they read copies of two
//     numbers. publish() renews both copies after every change of the probes, before the mutex is released.
// P2. publish() stores `earliest_deadline_` before `in_flight_`, and surely_full() loads them in the opposite order. So
//     a caller that reads a number of probes reads the deadline that goes with that number, or a newer one: no caller
//     is rejected because of a lease that had run out when the number was published.
// P3. A copy may be of an earlier half-open generation by the time a caller reads it. So a caller that is about to be
//     rejected by the copies loads the breaker's word again. Where the word is still the one that the caller had loaded
//     before the copies, the copies are of its generation, or of a later one whose word is about to be stored (I1 in
//     circuit_breaker_impl.hpp).
// P4. `most_probes_` is a copy of a setting, stored under the breaker's mutex when the configuration changes. No other
//     data is published with it: a caller in that moment may be judged by the old number or by the new one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/detail/sync.hpp>
#include <fusebox/core/state.hpp>

#include "probe_table.hpp"
#include "transition_cause.hpp"

namespace fusebox::detail {

/// The probes of a breaker, in one half-open generation after the other. It decides what their outcomes mean; the
/// breaker makes the transition. Takes memory when it admits its first probe.
///
/// Thread contract: `surely_full` from any thread; everything else under the breaker's mutex.
class Recovery {
public:
    /// The right of one probe to its slot. The ticket is never given twice, so that a probe that lost its slot cannot
    /// release it for the probe that has the slot now.
    struct Lease {
        std::uint32_t slot{};
        std::uint64_t ticket{};
    };
    struct LostProbe {
        Duration lease{};
        Duration in_flight{};
    };
    struct Decision {
        State to{};  ///< open or closed
        TransitionCause cause{};
    };

    /// True: no slot is free and no lease has run out at `now`, so that no probe can be admitted (R4, R25).
    [[nodiscard]] bool surely_full(TimePoint now) const noexcept {
        // acquire: each load pairs with the release of its store, in publish() (P2) and in set_most_probes() (P4).
        return in_flight_.load(std::memory_order_acquire) >= most_probes_.load(std::memory_order_acquire) &&
               now.time_since_epoch().count() < earliest_deadline_.load(std::memory_order_acquire);
    }
    void set_most_probes(std::uint32_t most) noexcept {
        most_probes_.store(most, std::memory_order_release);  // pairs with surely_full() (P4)
    }

    /// Forgets all probes and what they decided: half-open begins, or has ended.
    void restart() noexcept;

    /// Empty: all slots are taken (R4), or there is no memory for the slots; then the next caller tries again.
    [[nodiscard]] std::optional<Lease> admit(const CircuitBreakerConfig& config, TimePoint now) noexcept;
    /// Frees the slot of a probe that has settled. False: its lease ran out before (R24).
    [[nodiscard]] bool release(const Lease& lease) noexcept;
    /// Frees the slot of the probe whose lease was the first to run out; empty when no lease has run out (R24).
    [[nodiscard]] std::optional<LostProbe> take_lost(TimePoint now) noexcept;

    /// Counts the outcome of a probe that was released and is not neutral. `message`: what a failure said.
    [[nodiscard]] std::optional<Decision> count_settled(const CircuitBreakerConfig& config, bool failure, bool slow,
                                                        std::string_view message) noexcept;
    /// Counts a lost probe, as a failure (R24).
    [[nodiscard]] std::optional<Decision> count_lost(const CircuitBreakerConfig& config,
                                                     const LostProbe& probe) noexcept;

    [[nodiscard]] std::uint32_t in_flight() const noexcept { return probes_ ? probes_->table.in_flight() : 0; }
    [[nodiscard]] std::uint32_t good_in_a_row() const noexcept { return probes_ ? probes_->good_in_a_row : 0; }
    /// Of the probes that ended, without the neutral ones.
    [[nodiscard]] WindowCounts counts() const noexcept { return probes_ ? probes_->counts : WindowCounts{}; }

private:
    struct Probes {
        ProbeTable table;
        std::uint64_t last_ticket{};  // of any generation
        WindowCounts counts{};
        std::uint64_t good{};
        std::uint32_t good_in_a_row{};
    };

    bool reserve(std::uint32_t slots) noexcept;
    std::optional<Decision> count(const CircuitBreakerConfig& config, bool failure, bool slow,
                                  TransitionCause if_bad) noexcept;
    void publish() noexcept;

    Atomic<std::uint32_t> most_probes_{};                                                    // P4
    Atomic<std::uint32_t> in_flight_{};                                                      // P1
    Atomic<TimePoint::rep> earliest_deadline_{TimePoint::max().time_since_epoch().count()};  // P1
    std::unique_ptr<Probes> probes_;                                                         // made for the first probe
};

}  // namespace fusebox::detail
