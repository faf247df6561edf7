// Admission and plain successes: what is decided without a lock. In one file, so that the compiler sees through all of it.
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <utility>

namespace fusebox {

inline Rejection CircuitBreaker::Impl::reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept {
    auto& stripe = stripes_.own();
    // relaxed: a counter, orders nothing
    (kind == Rejection::Kind::circuit_open ? stripe.rejected_open : stripe.rejected_probes)
        .fetch_add(1, std::memory_order_relaxed);
    const Rejection rejection{kind, state_of(word), retry_after, generation_of(word)};
    if (wants(EventMask::calls)) [[unlikely]]
        hub_.load(std::memory_order_acquire)->deliver(breaker_, RequestRejectedEvent{rejection});
    return rejection;
}

std::expected<Permit, Rejection> CircuitBreaker::Impl::acquire() noexcept {
    for (;;) {
        const auto word = load_word();
        auto now = TimePoint{};
        switch (state_of(word)) {
            case State::forced_open:
                return std::unexpected{reject(Rejection::Kind::circuit_open, word, {})};
            case State::open: {
                // acquire: pairs with the release in transition(). With the second look at the word, the retry time is that of
                // this generation, or of the next one where it is open as well and just being made.
                const TimePoint retry_at{Duration{breaker_.retry_at_.load(std::memory_order_acquire)}};
                now = breaker_.now();
                if (now >= retry_at) break;
                if (load_word() != word) continue;
                return std::unexpected{reject(Rejection::Kind::circuit_open, word, retry_at - now)};  // R2
            }
            case State::half_open: {
                now = clock_.now();
                // acquire: pairs with the releases in publish_probes().
                const auto full =
                    probes_in_flight_.load(std::memory_order_acquire) >= most_probes_.load(std::memory_order_acquire);
                if (!full || now.time_since_epoch().count() >= earliest_lease_.load(std::memory_order_acquire)) break;
                if (load_word() != word) continue;
                return std::unexpected{reject(Rejection::Kind::too_many_probes, word, {})};  // R4
            }
            case State::closed:
            case State::disabled:
            case State::metrics_only: {
                if (auto permit = admit_watched(word)) return *std::move(permit);  // R1
                continue;
            }
        }
        if (auto answer = acquire_locked(now)) return *std::move(answer);
    }
}

// R17. Empty: hung calls were judged first, and the state may have changed.
std::optional<Permit> CircuitBreaker::Impl::admit_watched(std::uint64_t word) noexcept {
    const auto generation = generation_of(word);
    const auto now = clock_.now();
    // relaxed: see admits_at_once. acquire: pairs with the release in set_hung_call_threshold().
    auto* watched = watched_.load(std::memory_order_acquire);
    if (state_of(word) == State::disabled || watched == nullptr ||
        !breaker_.watching_.load(std::memory_order_relaxed)) {
        // relaxed: as in admits_at_once.
        return Permit{breaker_, {word, breaker_.measuring_.load(std::memory_order_relaxed) ? now : unmeasured}};
    }
    if (const auto place = watched->begin(generation, now)) {
        return Permit{breaker_, {word, now, place->ticket, place->slot}};
    }
    judge_locked(generation, now, false);
    return std::nullopt;
}

// By a clock that is quick to read and may be late. Zero also where somebody listens to rejections.
Duration CircuitBreaker::reject_quickly(std::uint64_t word) noexcept {
    if (state_of(word) != State::open || !by_steady_clock_) [[unlikely]]
        return Duration::zero();
    // acquire: as in acquire(), and for the same second look.
    const TimePoint retry_at{Duration{retry_at_.load(std::memory_order_acquire)}};
    // The clock may stand before the moment at which the circuit opened.
    const auto left =
        std::min(retry_at - detail::coarse_steady_clock(), Duration{open_for_.load(std::memory_order_acquire)});
    if (left <= detail::coarse_lag || word_.load(std::memory_order_acquire) != word || impl_->wants(EventMask::calls))
        [[unlikely]] {
        return Duration::zero();
    }
    impl_->count_rejection();
    return left;
}

std::expected<Permit, Rejection> CircuitBreaker::acquire() noexcept { return impl_->acquire(); }

bool CircuitBreaker::succeed_quickly(std::uint64_t word, TimePoint started, TimePoint ended) noexcept {
    // relaxed: stands for itself. acquire: pairs with the release in Impl::transition.
    if (watching_.load(std::memory_order_relaxed) || word_.load(std::memory_order_acquire) != word) [[unlikely]]
        return false;
    return impl_->succeed(word, started, ended);
}

void Permit::success() noexcept {
    if (auto* breaker = std::exchange(breaker_, nullptr)) {
        breaker->settle(admission_, Outcome::success, breaker->end_of(admission_, CircuitBreaker::no_deadline),
                        std::string_view{});
    }
}

void Permit::settle(Outcome outcome, const Settlement& settlement) noexcept {
    auto* breaker = std::exchange(breaker_, nullptr);
    if (breaker == nullptr) return;
    const auto ended = breaker->end_of(admission_, CircuitBreaker::no_deadline);
    if (!settlement.duration && !settlement.retry_after && settlement.message.empty()) {
        breaker->settle(admission_, outcome, ended, settlement.trace_id);
    } else {
        breaker->settle(admission_, outcome, ended, settlement);
    }
}

// What comes next is all that most calls need. Everything else is kept out of it: a call of a function costs more here than
// what it does.
inline bool CircuitBreaker::Impl::succeed(std::uint64_t word, TimePoint started, TimePoint now) noexcept {
    const auto measured = started != unmeasured;
    const auto duration = measured ? now - started : Duration::zero();
    // relaxed: stands for itself
    if (duration.count() >= quick_below_.load(std::memory_order_relaxed)) [[unlikely]]
        return false;
    const auto generation = generation_of(word);
    auto& stripe = stripes_.own();
    const auto result = window_.try_success(stripe, generation, measured, now);
    if (result == detail::OutcomeWindow::Try::refused) [[unlikely]]
        return false;
    if (measured) stripe.add_duration(std::max(Duration::zero(), duration));
    // seq_cst, after the seq_cst swap in try_success: see judge().
    if (judge_in_.load() <= armed || has_run(generation) || wants(EventMask::calls) ||
        (result == detail::OutcomeWindow::Try::contended && !stripes_.is_wide())) [[unlikely]] {
        follow_success(word, now, duration, result == detail::OutcomeWindow::Try::contended);
    }
    return true;
}

// What a success that is recorded may entail.
void CircuitBreaker::Impl::follow_success(std::uint64_t word, TimePoint now, Duration duration,
                                          bool contended) noexcept {
    const auto generation = generation_of(word);
    clear_run(generation);
    if (judge_in_.load() <= armed && judge_in_.fetch_sub(1) <= 1) judge_locked(generation, now, true);
    if (contended && !stripes_.is_wide()) widen();
    if (wants(EventMask::calls)) tell(state_of(word), Outcome::success, false, std::max(Duration::zero(), duration));
}

void CircuitBreaker::Impl::widen() noexcept {
    const std::scoped_lock lock{mutex_};
    window_.widen();
}

void CircuitBreaker::Impl::tell(State admitted_in, Outcome outcome, bool slow, Duration duration) noexcept {
    hub_.load(std::memory_order_acquire)->deliver(breaker_, RequestExecutedEvent{admitted_in, outcome, slow, duration});
}

// R11. The tag keeps a late success from clearing the run of a later generation.
void CircuitBreaker::Impl::clear_run(std::uint64_t generation) noexcept {
    // relaxed: the word says everything itself, and a failure that was settled before is seen by coherence.
    auto run = run_.load(std::memory_order_relaxed);
    while (is_run_of(generation, run)) {
        if (run_.compare_exchange_weak(run, run_word(generation, 0), std::memory_order_relaxed)) return;
    }
}

}  // namespace fusebox
