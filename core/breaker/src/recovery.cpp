#include "recovery.hpp"

#include <algorithm>
#include <new>

namespace fusebox::detail {

void Recovery::restart() noexcept {
    if (probes_) {
        probes_->table.clear();
        probes_->counts = {};
        probes_->good = probes_->good_in_a_row = 0;
    }
    publish();
}

std::optional<Recovery::Lease> Recovery::admit(const CircuitBreakerConfig& config, TimePoint now) noexcept {
    if (!reserve(config.half_open_max_concurrent)) return std::nullopt;
    if (in_flight() >= config.half_open_max_concurrent) return std::nullopt;  // R4
    // A probe that hangs is given up as early as any other call that hangs (R17).
    const auto lease = std::min(config.probe_lease, config.hung_call_threshold.value_or(config.probe_lease));
    const auto ticket = ++probes_->last_ticket;
    const auto slot = probes_->table.take({.ticket = ticket, .started = now, .deadline = now + lease});
    publish();
    return Lease{slot, ticket};
}

bool Recovery::release(const Lease& lease) noexcept {
    if (!probes_->table.release(lease.slot, lease.ticket)) return false;
    publish();
    return true;
}

std::optional<Recovery::LostProbe> Recovery::take_lost(TimePoint now) noexcept {
    // Without probes the earliest deadline is TimePoint::max(), and a clock may stand even there.
    if (!probes_) return std::nullopt;
    // relaxed: only written under the mutex that the caller holds.
    if (now.time_since_epoch().count() < earliest_deadline_.load(std::memory_order_relaxed)) return std::nullopt;
    const auto probe = probes_->table.take_expired(now);
    publish();
    if (!probe) return std::nullopt;
    return LostProbe{.lease = probe->deadline - probe->started, .in_flight = now - probe->started};
}

std::optional<Recovery::Decision> Recovery::count_settled(const CircuitBreakerConfig& config, bool failure, bool slow,
                                                          std::string_view message) noexcept {
    return count(config, failure, slow, {.reason = TransitionReason::probe_failed, .observed = 1, .note = message});
}

std::optional<Recovery::Decision> Recovery::count_lost(const CircuitBreakerConfig& config,
                                                       const LostProbe& probe) noexcept {
    return count(config, true, false,
                 {.reason = TransitionReason::probe_lease_expired,
                  .threshold = seconds(probe.lease),
                  .observed = seconds(probe.in_flight)});
}

// `if_bad`: the cause by which a bad probe reopens the circuit in strict mode.
std::optional<Recovery::Decision> Recovery::count(const CircuitBreakerConfig& config, bool failure, bool slow,
                                                  TransitionCause if_bad) noexcept {
    auto& probes = *probes_;
    const auto good = !failure && !slow;
    ++probes.counts.total;
    probes.counts.failures += failure ? 1 : 0;
    probes.counts.slow += slow ? 1 : 0;
    probes.good += good ? 1 : 0;
    probes.good_in_a_row = good ? probes.good_in_a_row + 1 : 0;

    if (const auto& rule = config.half_open_rate) {  // R21
        if (probes.counts.total < rule->minimum_probes) return std::nullopt;
        const auto success_rate = static_cast<double>(probes.good) / static_cast<double>(probes.counts.total);
        return Decision{success_rate >= rule->success_rate ? State::closed : State::open,
                        {.reason = TransitionReason::probe_success_rate,
                         .threshold = rule->success_rate,
                         .observed = success_rate,
                         .window = probes.counts,
                         .note = if_bad.note}};
    }
    if (!good) {  // R20
        if_bad.window = probes.counts;
        return Decision{State::open, if_bad};
    }
    if (probes.good_in_a_row < config.success_threshold) return std::nullopt;
    return Decision{State::closed,
                    {.reason = TransitionReason::success_threshold_met,
                     .threshold = static_cast<double>(config.success_threshold),
                     .observed = static_cast<double>(probes.good_in_a_row),
                     .window = probes.counts}};
}

bool Recovery::reserve(std::uint32_t slots) noexcept {
    try {
        if (!probes_) probes_ = std::make_unique<Probes>();
        probes_->table.reserve(slots);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

void Recovery::publish() noexcept {
    const auto earliest = probes_ ? probes_->table.earliest_deadline() : TimePoint::max();
    // release: both pair with surely_full(), in this order (P2).
    earliest_deadline_.store(earliest.time_since_epoch().count(), std::memory_order_release);
    in_flight_.store(in_flight(), std::memory_order_release);
}

}  // namespace fusebox::detail
