// Half-open: the retry time has come, a probe is admitted, a probe ends (R3, R4, R20–R25). What the probes decide is
// said in Recovery; the transition is made here.
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <utility>

#include <fusebox/text/utf8.hpp>

namespace fusebox {

// Empty: by now the state admits all calls, and the caller decides again.
std::optional<std::expected<Permit, Rejection>> CircuitBreaker::Impl::admit_probe(TimePoint now) noexcept {
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
                        .threshold = detail::seconds(retry_at - last_change_),
                        .observed = detail::seconds(now - last_change_),
                        .window = window_.counts(now)},
                       now);
        }
        if (state() == State::half_open) expire_leases(now);
        word = load_word();
        if (state_of(word) == State::half_open) {
            if (const auto lease = recovery_.admit(*config_, now)) {  // R4, R25
                permit =
                    Permit{breaker_, {word, config_->measure_duration ? now : unmeasured, lease->ticket, lease->slot}};
            }
        }
        if (state_of(word) == State::open) retry_after = TimePoint{Duration{breaker_.retry_at_.load()}} - now;
    }
    deliver_queued_events();
    if (permit) return *std::move(permit);
    if (admits_all(state_of(word))) return std::nullopt;
    const auto kind =
        state_of(word) == State::half_open ? Rejection::Kind::too_many_probes : Rejection::Kind::circuit_open;
    return std::unexpected{reject(kind, word, retry_after)};
}

void CircuitBreaker::Impl::settle_probe(const detail::Admission& admission, const SettledCall& call,
                                        TimePoint now) noexcept {
    expire_leases(now);
    // R24: the lease of this probe has run out, or that of another one has, which reopened the circuit.
    if (generation() != generation_of(admission.word) || !recovery_.release({admission.slot, admission.ticket})) {
        ++totals_.stale;
        return;
    }
    note_retry_hint(*call.settlement, now);
    log_outcome(call, now);
    if (is_neutral(call.outcome)) return;  // R22
    const auto decision =
        recovery_.count_settled(*config_, call.outcome != Outcome::success, call.slow,
                                text::cut(call.settlement->message, detail::KeptOutcome::message_bytes));
    if (decision) transition(decision->to, decision->cause, now);
}

// R24: a lost probe is a failed one. It may end the half-open generation.
void CircuitBreaker::Impl::expire_leases(TimePoint now) noexcept {
    const auto expiring = generation();
    while (generation() == expiring) {
        const auto probe = recovery_.take_lost(now);
        if (!probe) return;
        outcome_log_.add([&](detail::KeptOutcome& kept) {
            kept.at = now;
            kept.duration = probe->in_flight;
            kept.outcome = Outcome::failure;
            kept.message.assign("its lease ran out");
            kept.slow = false;
            kept.trace_id.assign({});
        });
        const auto decision = recovery_.count_lost(*config_, *probe);
        if (decision) transition(decision->to, decision->cause, now);
    }
}

}  // namespace fusebox
