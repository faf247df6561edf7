// The quick path: admission, rejections and plain successes, decided without a lock. All in one file, so that the
// compiler sees from the breaker's and the permit's members down to the cell of the stripe: a call of a function would
// cost more here than what the function does.
//
// I1 … I9: circuit_breaker_impl.hpp. P1 … P4: recovery.hpp. S1 … S4: stripe.hpp. W1 … W9: outcome_window.hpp.
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "coarse_clock.hpp"

namespace fusebox {

// ---- admission and rejection ---------------------------------------------------------------------------------------

Rejection CircuitBreaker::Impl::reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept {
    auto& stripe = stripes_.own();
    // relaxed: a counter, orders nothing
    (kind == Rejection::Kind::circuit_open ? stripe.rejected_open : stripe.rejected_probes)
        .fetch_add(1, std::memory_order_relaxed);
    const Rejection rejection{kind, state_of(word), retry_after, generation_of(word)};
    if (wants(EventMask::calls)) [[unlikely]]
        hub_.load(std::memory_order_acquire)->deliver(breaker_, RequestRejectedEvent{rejection});  // I7
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
                // acquire: pairs with the release in transition(). The word is loaded again after the time (I2).
                const TimePoint retry_at{Duration{breaker_.retry_at_.load(std::memory_order_acquire)}};
                now = breaker_.now();
                if (now >= retry_at) break;
                if (load_word() != word) continue;
                return std::unexpected{reject(Rejection::Kind::circuit_open, word, retry_at - now)};  // R2
            }
            case State::half_open: {
                now = clock_.now();
                if (!recovery_.surely_full(now)) break;
                // P3
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
        if (auto answer = admit_probe(now)) return *std::move(answer);
    }
}

// R17. Empty: calls that hang were judged first, which may have changed the state.
std::optional<Permit> CircuitBreaker::Impl::admit_watched(std::uint64_t word) noexcept {
    const auto generation = generation_of(word);
    const auto now = clock_.now();
    auto* watched = watched_.load(std::memory_order_acquire);  // I7
    // relaxed: I6, for both settings.
    if (state_of(word) == State::disabled || watched == nullptr ||
        !breaker_.watching_.load(std::memory_order_relaxed)) {
        return Permit{breaker_, {word, breaker_.measuring_.load(std::memory_order_relaxed) ? now : unmeasured}};
    }
    if (const auto place = watched->begin(generation, now)) {
        return Permit{breaker_, {word, now, place->ticket, place->slot}};
    }
    lock_and_judge(generation, now, false);
    return std::nullopt;
}

// The coarse time is late by coarse_lag at most, so it settles the question only where more than that is left (R3). The
// question is left to acquire() also where the clock has no coarse time, and where a listener waits for rejections
// (R36).
Duration CircuitBreaker::reject_quickly(std::uint64_t word) noexcept {
    if (state_of(word) != State::open) [[unlikely]]
        return Duration::zero();
    // The clock of nearly all breakers is read without the virtual call.
    const auto coarse = by_steady_clock_ ? std::optional{detail::coarse_steady_clock()} : clock_->coarse_now();
    if (!coarse) [[unlikely]]
        return Duration::zero();
    // acquire: the load of each time pairs with its release in transition(), the load of the word with that of I1. The
    // word is loaded after both times (I2).
    const TimePoint retry_at{Duration{retry_at_.load(std::memory_order_acquire)}};
    // The coarse time may be before the moment at which the circuit opened: no more is left than the open time (R2).
    const auto left = std::min(retry_at - *coarse, Duration{open_for_.load(std::memory_order_acquire)});
    if (left <= Clock::coarse_lag || word_.load(std::memory_order_acquire) != word || impl_->wants(EventMask::calls))
        [[unlikely]] {
        return Duration::zero();
    }
    impl_->count_rejection();
    return left;
}

std::expected<Permit, Rejection> CircuitBreaker::acquire() noexcept { return impl_->acquire(); }

// ---- plain successes -----------------------------------------------------------------------------------------------

// What only few successes need is in finish_success(): in line, it would make every success slower.
inline bool CircuitBreaker::Impl::succeed(std::uint64_t word, TimePoint started, TimePoint now) noexcept {
    using Try = detail::OutcomeWindow::Try;
    const auto success = plain_success(word, started, now);
    if (success.duration.count() >= quick_success_below_.load(std::memory_order_relaxed)) [[unlikely]]  // relaxed: I6
        return false;
    const auto result = window_.try_success(stripes_.own(), breaker_.word_, success);  // I3
    if (result == Try::refused) [[unlikely]]
        return false;
    // seq_cst, after the seq_cst swap in try_success: I5.
    if (result == Try::contended || successes_until_judged_.load() <= longest_countdown ||
        has_run(generation_of(word)) || wants(EventMask::calls)) [[unlikely]] {
        return finish_success(word, started, now, result);
    }
    return true;
}

// Tries again where the swap met another thread's. Then does for the recorded success what few successes need: ends the
// run, judges the window, gives every core a stripe of its own, delivers the event.
bool CircuitBreaker::Impl::finish_success(std::uint64_t word, TimePoint started, TimePoint now,
                                          detail::OutcomeWindow::Try result) noexcept {
    using Try = detail::OutcomeWindow::Try;
    const auto success = plain_success(word, started, now);
    const auto contended = result == Try::contended;
    while (result == Try::contended) result = window_.try_success(stripes_.own(), breaker_.word_, success);
    if (result == Try::refused) return false;
    const auto generation = generation_of(word);
    end_run(generation);
    if (successes_until_judged_.load() <= longest_countdown && successes_until_judged_.fetch_sub(1) <= 1) {  // I5
        lock_and_judge(generation, now, true);
    }
    if (contended && !stripes_.is_wide()) widen();
    if (wants(EventMask::calls)) {
        deliver_executed(state_of(word), Outcome::success, false, success.duration);
    }
    return true;
}

// R11. A success of an earlier generation does not find its run any more (I4).
void CircuitBreaker::Impl::end_run(std::uint64_t generation) noexcept {
    // relaxed, here and in the swap: I4.
    auto run = run_.load(std::memory_order_relaxed);
    while (is_run_of(generation, run)) {
        if (run_.compare_exchange_weak(run, run_word(generation, 0), std::memory_order_relaxed)) return;
    }
}

void CircuitBreaker::Impl::widen() noexcept {
    const std::scoped_lock lock{mutex_};
    window_.widen();
}

void CircuitBreaker::Impl::deliver_executed(State admitted_in, Outcome outcome, bool slow, Duration duration) noexcept {
    // acquire: I7
    hub_.load(std::memory_order_acquire)->deliver(breaker_, RequestExecutedEvent{admitted_in, outcome, slow, duration});
}

bool CircuitBreaker::succeed_quickly(std::uint64_t word, TimePoint started, TimePoint ended) noexcept {
    if (watching_.load(std::memory_order_relaxed)) [[unlikely]]  // relaxed: I6
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

}  // namespace fusebox
