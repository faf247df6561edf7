// Half-open: who becomes a probe, and what the probes' outcomes decide (R3, R4, R20–R25).
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include <fusebox/text/utf8.hpp>

namespace fusebox {

// Empty: the state admits all by now, decide again.
std::optional<std::expected<Permit, Rejection>> CircuitBreaker::Impl::acquire_locked(TimePoint now) noexcept {
    std::optional<Permit> permit;
    std::uint64_t word = 0;
    Duration retry_after{};
    {
        const std::scoped_lock lock{mutex_};
        now = advance(now);
        const TimePoint retry_at{Duration{breaker_.retry_at_.load()}};
        if (state() == State::open && now >= retry_at) {  // R3
            transition(State::half_open,
                       {.reason = TransitionReason::open_timeout_elapsed,
                        .threshold = seconds(retry_at - last_change_),
                        .observed = seconds(now - last_change_),
                        .window = window_.counts(now)},
                       now);
        }
        if (state() == State::half_open) expire_leases(now);
        word = load_word();
        auto* recovery = state_of(word) == State::half_open ? ready_recovery() : nullptr;
        if (recovery != nullptr && recovery->probes.in_flight() < config_->half_open_max_concurrent) {  // R4, R25
            // A probe that hangs is given up as early as any other call that hangs (R17).
            const auto lease =
                std::min(config_->probe_lease, config_->hung_call_threshold.value_or(config_->probe_lease));
            const auto ticket = ++recovery->last_ticket;
            const auto slot = recovery->probes.take({.ticket = ticket, .started = now, .deadline = now + lease});
            publish_probes();
            permit = Permit{breaker_, {word, config_->measure_duration ? now : unmeasured, ticket, slot}};
        }
        if (state_of(word) == State::open) retry_after = TimePoint{Duration{breaker_.retry_at_.load()}} - now;
    }
    drain();
    if (permit) return *std::move(permit);
    if (admits_all(state_of(word))) return std::nullopt;
    const auto kind =
        state_of(word) == State::half_open ? Rejection::Kind::too_many_probes : Rejection::Kind::circuit_open;
    return std::unexpected{reject(kind, word, retry_after)};
}

void CircuitBreaker::Impl::settle_probe(const detail::Admission& admission, const Verdict& verdict,
                                        TimePoint now) noexcept {
    expire_leases(now);
    if (generation() != generation_of(admission.word) || !recovery_->probes.release(admission.slot, admission.ticket)) {
        ++totals_.stale;  // R24: its lease ran out, or another one's did and that reopened the circuit
        return;
    }
    publish_probes();
    note_hint(*verdict.settlement, now);
    remember(verdict, now);
    if (is_neutral(verdict.outcome)) return;  // R22
    const auto failure = verdict.outcome != Outcome::success;
    count_probe(!failure && !verdict.slow, failure, verdict.slow, now,
                {.reason = TransitionReason::probe_failed,
                 .observed = 1,
                 .note = text::cut(verdict.settlement->message, detail::KeptOutcome::message_bytes)});
}

void CircuitBreaker::Impl::expire_leases(TimePoint now) noexcept {
    // relaxed: written under the mutex that is held here.
    if (!recovery_ || now.time_since_epoch().count() < earliest_lease_.load(std::memory_order_relaxed)) return;
    const auto expiring = generation();
    while (generation() == expiring) {
        const auto probe = recovery_->probes.take_expired(now);
        publish_probes();
        if (!probe) return;
        last_outcomes_.add([&](detail::KeptOutcome& kept) {
            kept.at = now;
            kept.duration = now - probe->started;
            kept.outcome = Outcome::failure;
            kept.message.assign("its lease ran out");
            kept.slow = false;
            kept.trace_id.assign({});
        });
        count_probe(false, true, false, now,
                    {.reason = TransitionReason::probe_lease_expired,
                     .threshold = seconds(probe->deadline - probe->started),
                     .observed = seconds(now - probe->started)});
    }
}

// R20, R21
void CircuitBreaker::Impl::count_probe(bool good, bool failure, bool slow, TimePoint now,
                                       const Cause& if_bad) noexcept {
    auto& recovery = *recovery_;
    ++recovery.counts.total;
    recovery.counts.failures += failure ? 1 : 0;
    recovery.counts.slow += slow ? 1 : 0;
    recovery.good += good ? 1 : 0;
    recovery.good_in_a_row = good ? recovery.good_in_a_row + 1 : 0;

    if (const auto& rule = config_->half_open_rate) {
        if (recovery.counts.total < rule->minimum_probes) return;
        const auto success_rate = ratio(recovery.good, recovery.counts.total);
        transition(success_rate >= rule->success_rate ? State::closed : State::open,
                   {.reason = TransitionReason::probe_success_rate,
                    .threshold = rule->success_rate,
                    .observed = success_rate,
                    .window = recovery.counts,
                    .note = if_bad.note},
                   now);
    } else if (!good) {
        auto cause = if_bad;
        cause.window = recovery.counts;
        transition(State::open, cause, now);
    } else if (recovery.good_in_a_row >= config_->success_threshold) {
        transition(State::closed,
                   {.reason = TransitionReason::success_threshold_met,
                    .threshold = static_cast<double>(config_->success_threshold),
                    .observed = static_cast<double>(recovery.good_in_a_row),
                    .window = recovery.counts},
                   now);
    }
}

// Null without memory for the probes: then there is room for none now, and the next one who asks tries again.
CircuitBreaker::Impl::Recovery* CircuitBreaker::Impl::ready_recovery() noexcept {
    try {
        if (!recovery_) recovery_ = std::make_unique<Recovery>();
        recovery_->probes.reserve(config_->half_open_max_concurrent);
        return recovery_.get();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void CircuitBreaker::Impl::publish_probes() noexcept {
    // release: pair with the loads in acquire().
    const auto earliest = recovery_ ? recovery_->probes.earliest_deadline() : TimePoint::max();
    earliest_lease_.store(earliest.time_since_epoch().count(), std::memory_order_release);
    probes_in_flight_.store(recovery_ ? recovery_->probes.in_flight() : 0, std::memory_order_release);
}

}  // namespace fusebox
