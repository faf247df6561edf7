"""Small ways to break the breaker, each of which some test must notice. mutation_check.py makes them one at a time.

A mutant is a name that begins with the rule it breaks, and edits: the file, the text as it stands there (once), and what
takes its place. Only what a user could notice is a mutant: an edit after which the breaker keeps every rule proves nothing.
"""

from typing import NamedTuple


class Edit(NamedTuple):
    path: str
    old: str
    new: str


class Mutant(NamedTuple):
    name: str
    edits: tuple[Edit, ...]


def mutant(name, path, old, new, *more):
    return Mutant(name, (Edit(path, old, new), *(Edit(*edit) for edit in more)))


QUICK = "core/breaker/src/quick_path.cpp"
SETTLING = "core/breaker/src/settling.cpp"
JUDGING = "core/breaker/src/judging.cpp"
HALF_OPEN = "core/breaker/src/half_open.cpp"
TRANSITIONS = "core/breaker/src/transitions.cpp"
SAVING = "core/breaker/src/saving.cpp"
METRICS = "core/breaker/src/metrics.cpp"
IMPL_HEADER = "core/breaker/src/circuit_breaker_impl.hpp"
BREAKER = "core/breaker/src/circuit_breaker.cpp"
CALLS = "core/breaker/include/fusebox/core/detail/circuit_breaker_calls.hpp"
CALL_IN_FLIGHT = "core/breaker/include/fusebox/core/detail/call_in_flight.hpp"
WINDOW = "core/breaker/src/outcome_window.cpp"
WINDOW_HEADER = "core/breaker/src/outcome_window.hpp"
RECOVERY = "core/breaker/src/recovery.cpp"
RECOVERY_HEADER = "core/breaker/src/recovery.hpp"
PROBES = "core/breaker/src/probe_table.hpp"
OPEN_TIME = "core/breaker/src/open_time.cpp"
WATCHED = "core/breaker/src/watched_calls.hpp"
HUB = "core/breaker/src/event_hub.cpp"
HUB_HEADER = "core/breaker/src/event_hub.hpp"
STRIPE = "core/breaker/src/stripe.hpp"
CELL = "core/breaker/src/success_cell.hpp"
BUCKET = "core/breaker/src/duration_bucket.hpp"
REPORTS = "core/breaker/src/report_ring.hpp"
OUTCOMES = "core/breaker/src/outcome_log.hpp"

MUTANTS = [
    # ---- admission ----
    mutant("R2 a rejection names no time to wait", QUICK,
           "reject(Rejection::Kind::circuit_open, word, retry_at - now)", "reject(Rejection::Kind::circuit_open, word, {})"),
    mutant("R2 the retry time of another generation is told", QUICK,
           "if (load_word() != word) continue;\n                return std::unexpected{reject(Rejection::Kind::circuit_open",
           "return std::unexpected{reject(Rejection::Kind::circuit_open"),
    mutant("R2 open is shown before its retry time", TRANSITIONS,
           "        window_.widen();  // now, because",
           "        breaker_.word_.store(next << 3U | static_cast<std::uint64_t>(to), std::memory_order_release);\n"
           "        window_.widen();  // now, because"),
    mutant("R2 more time is left than the circuit is open for", QUICK,
           "std::min(retry_at - *coarse, Duration{open_for_.load(std::memory_order_acquire)});", "retry_at - *coarse;"),
    mutant("R2 the retry time of another generation is told by the coarse clock", QUICK,
           "if (left <= Clock::coarse_lag || word_.load(std::memory_order_acquire) != word ||",
           "if (left <= Clock::coarse_lag ||"),
    mutant("R3 the coarse clock is believed when the retry time is near", QUICK,
           "if (left <= Clock::coarse_lag ||", "if (left <= Duration::zero() ||"),
    mutant("R36 nobody hears of rejections by the coarse clock", QUICK,
           "if (left <= Clock::coarse_lag || word_.load(std::memory_order_acquire) != word || impl_->wants(EventMask::calls))",
           "if (left <= Clock::coarse_lag || word_.load(std::memory_order_acquire) != word)"),
    mutant("R3 the call at the retry time is still rejected", QUICK,
           "if (now >= retry_at) break;", "if (now > retry_at) break;"),
    mutant("R3 the retry time is not looked at again under the lock", HALF_OPEN,
           "if (state() == State::open && now >= retry_at) {", "if (state() == State::open) {"),
    mutant("R4 free slots are not counted again under the lock", RECOVERY,
           "    if (in_flight() >= config.half_open_max_concurrent) return std::nullopt;  // R4\n", "",
           (PROBES, "if (slots > slots_.size()) slots_.resize(slots);",
            "slots_.resize(std::max<std::size_t>(slots_.size(), slots + 1024U));")),
    mutant("R4 probes are admitted without the lock", HALF_OPEN,
           "        const std::scoped_lock lock{mutex_};\n        now = advance(now);\n        const TimePoint retry_at{",
           "        now = advance(now);\n        const TimePoint retry_at{"),
    mutant("R41 probes are timed where calls are not", HALF_OPEN,
           "{word, config_->measure_duration ? now : unmeasured, lease->ticket, lease->slot}",
           "{word, now, lease->ticket, lease->slot}"),
    mutant("R41 a success in the first bucket is counted without its duration", SETTLING,
           "window_.count_success(call.measured, call.duration);", "window_.count_success(call.measured, {});"),
    mutant("R41 the open time that was told goes back", METRICS,
           "is_open(state_of(word)) ? advance(read_at) : std::max(latest_, read_at)", "std::max(latest_, read_at)"),
    mutant("R5 reading the metrics ends leases", METRICS,
           "        const auto word = load_word();\n        // Only the open time",
           "        expire_leases(clock_.now());\n        const auto word = load_word();\n        // Only the open time"),
    mutant("R8 an outcome of an older generation counts", SETTLING,
           "if (generation() != generation_of(admission.word)) {\n        ++totals_.stale;  // R8", "if (false) {\n        ++totals_.stale;  // R8"),
    mutant("R8 a success does not look at the word after its cell", WINDOW_HEADER,
           "word.load(std::memory_order_acquire) != success.admitted_by ||",
           "word.load(std::memory_order_acquire) == ~success.admitted_by ||"),
    mutant("R8 sealed cells have the seal that they had", WINDOW, "    ++seal_;\n", ""),
    mutant("R8 the end of the slice is known before the cells of the new generation are sealed", WINDOW,
           "    seal_cells();  // the window drops", "    publish_end();\n    seal_cells();  // the window drops"),
    mutant("R8 a success that met another thread is lost", QUICK,
           "    while (result == Try::contended) result = window_.try_success(stripes_.own(), breaker_.word_, success);\n",
           "    if (contended) result = Try::recorded;\n"),
    mutant("R8 a success is lost while cells are sealed", WINDOW,
           "const SuccessCell held{stripe.cell.exchange(empty_cell().bits())};",
           "const SuccessCell held{stripe.cell.load()};\n    stripe.cell.store(empty_cell().bits());"),
    mutant("R8 a late outcome is judged by the state alone", SETTLING,
           "if (generation() != generation_of(admission.word)) {\n        ++totals_.stale;  // R8",
           "if (state() != state_of(admission.word)) {\n        ++totals_.stale;  // R8"),
    mutant("R8 a success is stored and not swapped in", WINDOW_HEADER,
           "        return stripe.cell.compare_exchange_strong(",
           "        stripe.cell.store(cell.plus(success.duration).bits());\n        return Try::recorded;\n"
           "        return stripe.cell.compare_exchange_strong("),
    mutant("R8 new cells are shown before they are ready", STRIPE,
           "        for (unsigned i = 0; i < width_; ++i)\n"
           "            more[i].stripe.cell.store(cell.bits(), std::memory_order_relaxed);  // relaxed: more_ publishes it (S3)\n",
           "        more_.store(more, std::memory_order_release);\n"
           "        for (unsigned i = 0; i < width_; ++i) more[i].stripe.cell.store(cell.bits(), std::memory_order_relaxed);\n"),
    mutant("R9 a permit settles twice", QUICK,
           "    auto* breaker = std::exchange(breaker_, nullptr);\n", "    auto* breaker = breaker_;\n"),
    mutant("R9 a permit that is assigned over is lost", BREAKER, "if (breaker_ != nullptr) breaker_->abandon(admission_.copy());", ""),
    mutant("R9 a value that cannot be handed on is settled a second time", CALLS,
           "        if (call.is_settled()) throw;  // only the value could not be handed on\n", ""),
    mutant("R9 a permit that is dropped is lost", CALLS, "if (breaker_ != nullptr) breaker_->abandon(admission_.copy());", ""),
    mutant("R10 a timeout that is no failure is none the less counted", SETTLING,
           "return !config_->count_timeout_as_failure;", "return false;"),
    mutant("R10 ignored outcomes enter the window", SETTLING,
           "case Outcome::ignored:\n        case Outcome::abandoned:\n            return true;",
           "case Outcome::ignored:\n            return false;\n        case Outcome::abandoned:\n            return true;"),

    # ---- the run of failures ----
    mutant("R11 a quick success does not end the run", QUICK,
           "    end_run(generation);\n    if (successes_until", "    if (successes_until"),
    mutant("R11 a slow success does not end the run", JUDGING, "            end_run(generation());\n", ""),
    mutant("R11 a late success ends the run of a later generation", QUICK,
           "while (is_run_of(generation, run)) {", "while (static_cast<std::uint32_t>(run) != 0) {"),
    mutant("R11 the run is forgotten at the window's age already", JUDGING,
           "now - last_failure_at_ > time->duration", "now - last_failure_at_ >= time->duration"),
    mutant("R11 a failure overwrites the success that ended the run meanwhile", JUDGING,
           "while (!run_.compare_exchange_weak(run, run_word(generation(), longer)));",
           "while (run_.store(run_word(generation(), longer)), false);"),
    mutant("R12 a run that reached its threshold is not judged if a success ends it", JUDGING,
           "std::max(run_at(now), run_at_failure)", "run_at(now)"),

    # ---- judging ----
    mutant("R12 one failure too many for the run", JUDGING,
           "run >= config_->consecutive_failure_threshold) {", "run > config_->consecutive_failure_threshold) {"),
    mutant("R12 the failure rate must be above its threshold", JUDGING,
           "failure_rate >= config_->failure_rate_threshold", "failure_rate > config_->failure_rate_threshold"),
    mutant("R12 the slow rate must be above its threshold", JUDGING,
           "slow_rate >= config_->slow_call_rate_threshold", "slow_rate > config_->slow_call_rate_threshold"),
    mutant("R12 rates are judged one call early", JUDGING,
           "window_.minimum(config_->minimum_requests);", "window_.minimum(config_->minimum_requests) - 1;"),
    mutant("R12 the success that completes the minimum is not judged", QUICK,
           "successes_until_judged_.fetch_sub(1) <= 1)", "successes_until_judged_.fetch_sub(1) <= 0)"),
    mutant("R12 judging is armed after the window was counted", JUDGING,
           "        successes_until_judged_.store(longest_countdown);\n        counts = window_.counts(now);",
           "        counts = window_.counts(now);\n        successes_until_judged_.store(longest_countdown);"),
    mutant("R12 successes that come while the missing ones are counted are not taken off", JUDGING,
           "if (successes_until_judged_.fetch_sub(surplus) - surplus > 0) return true;",
           "successes_until_judged_.store(longest_countdown - surplus);\n        return true;"),
    mutant("R12 a success looks whether to judge before it is in the window", QUICK,
           "    const auto result = window_.try_success(",
           "    const auto missing = successes_until_judged_.load();\n    const auto result = window_.try_success(",
           (QUICK, "    if (result == Try::contended || successes_until_judged_.load() <= longest_countdown ||",
            "    if (result == Try::contended || missing <= longest_countdown ||")),
    mutant("R13 a count window keeps one outcome more", WINDOW,
           "index < stored_ && bad(index).number <= forgotten", "index < stored_ && bad(index).number < forgotten"),
    mutant("R13 a time window forgets a slice too early", WINDOW,
           "capacity_(std::int64_t{shape.slices} + 1) {}", "capacity_(std::int64_t{shape.slices}) {}"),
    mutant("R13 the moment at which a slice ends belongs to it", WINDOW_HEADER,
           "ended.time_since_epoch().count() >= end_.load", "ended.time_since_epoch().count() > end_.load"),
    mutant("R13 a success does not look at the end of its slice", WINDOW_HEADER,
           "success.ended.time_since_epoch().count() >= end_.load(std::memory_order_acquire)", "success.ended == TimePoint::max()"),
    mutant("R13 a slice is given its end before the old one is sealed", WINDOW,
           "    slices->add({seal_cells(), 0, 0});\n    slices->roll(now);",
           "    end_.store(never, std::memory_order_release);\n"
           "    slices->add({seal_cells(), 0, 0});\n    slices->roll(now);"),
    mutant("R13 cells are ready for a generation whose slice has no end yet", TRANSITIONS,
           "    window_.suspend();  // until", "    // until"),
    mutant("R13 the first slice is lost when the second begins", WINDOW,
           "    if (totals_) totals_[index_of(running_)] = sums_.total;\n", ""),
    mutant("R13 the failures of the first slice are lost when the second begins", WINDOW,
           "    if (bad_) bad_[index_of(running_)] = {sums_.failures, sums_.slow};\n", ""),
    mutant("R13 failures of a slice are never forgotten", WINDOW, "    if (bad_) bad_[index_of(slice)] = {};\n", ""),
    mutant("R16 calls of a disabled breaker are in its window", WINDOW,
           "const auto unsealed = recording_ ? in_cells() : 0;", "const auto unsealed = in_cells();"),
    mutant("R16 calls of a disabled breaker are in its window once they are gathered", WINDOW,
           "return recording_ ? held.successes() : 0;", "return held.successes();"),
    mutant("R13 a cell that is full of successes runs over", CELL,
           "| std::uint64_t{1} << (nanoseconds_shift - 1U);", ";"),
    mutant("R13 a cell that is full of durations runs over", CELL,
           "std::uint64_t{1} << (measured_shift - 1U)", "std::uint64_t{0}"),
    mutant("R13 the window loses what was in a full cell", WINDOW, "add_successes(empty(stripe));", "empty(stripe);"),
    mutant("R41 the durations in a cell that is emptied are lost", WINDOW,
           "    lifetime_.durations += held.durations();\n", ""),
    mutant("R41 the durations in a cell are read apart from its successes", WINDOW,
           "        successes.durations += cell.durations();\n",
           "        successes.durations += SuccessCell{stripe.cell.load()}.durations();\n"),
    mutant("R14 a slow success is not slow in the window", JUDGING,
           "if (failure || call.slow) {\n            window_", "if (failure) {\n            window_"),
    mutant("R15 a transition begins no generation", TRANSITIONS,
           "const auto next = generation() + 1;", "const auto next = generation();"),
    mutant("R16 the window survives closing", TRANSITIONS,
           "    window_.clear(state() != State::disabled, now);\n", "    window_.seal();\n    window_.roll(now);\n"),

    # ---- calls that hang ----
    mutant("R17 a hung call is counted again when it settles", SETTLING,
           "    } else if (counted_as_hung) {\n        return;", "} else if (state_of(admission.word) == State::disabled) {"),
    mutant("R17 admission does not look for hung calls", WATCHED,
           "        if (any_hangs(now)) return std::nullopt;\n", ""),
    mutant("R17 a call hangs only after its threshold", WATCHED,
           "now - calls_[oldest_].started >= *threshold_", "now - calls_[oldest_].started > *threshold_"),
    mutant("R17 hung calls of an older generation count", WATCHED,
           "            if (call.generation != generation) continue;\n", ""),

    # ---- half-open ----
    mutant("R20 a slow probe is a good one", RECOVERY, "const auto good = !failure && !slow;", "const auto good = !failure;"),
    mutant("R20 one good probe too many closes", RECOVERY,
           "probes.good_in_a_row < config.success_threshold", "probes.good_in_a_row <= config.success_threshold"),
    mutant("R21 the success rate must be above its mark", RECOVERY,
           "success_rate >= rule->success_rate ? State", "success_rate > rule->success_rate ? State"),
    mutant("R21 one probe too many before the rate is judged", RECOVERY,
           "probes.counts.total < rule->minimum_probes", "probes.counts.total <= rule->minimum_probes"),
    mutant("R21 good probes of an earlier half-open count", RECOVERY,
           "        probes_->good = probes_->good_in_a_row = 0;\n", ""),
    mutant("R22 a neutral probe counts", HALF_OPEN, "    if (is_neutral(call.outcome)) return;  // R22\n", ""),
    mutant("R23 closing keeps the backoff attempt", TRANSITIONS, "        attempt_ = 0;\n        retry_hint_until_ = {};", "        retry_hint_until_ = {};"),
    mutant("R24 a lease that ran out is not seen while all slots are taken", RECOVERY_HEADER,
           " &&\n               now.time_since_epoch().count() < earliest_deadline_.load(std::memory_order_acquire);", ";"),
    mutant("R24 a lease ends after its deadline", PROBES, "now < probe.deadline) continue;", "now <= probe.deadline) continue;"),
    mutant("R24 a late probe frees the slot of another", PROBES,
           "        if (slots_[slot].ticket != ticket) return false;\n", ""),
    mutant("R25 a slot that is free again is not offered", RECOVERY,
           "    publish();\n    return true;", "    return true;"),

    # ---- open time ----
    mutant("R26 the attempt does not grow", TRANSITIONS,
           "if (from == State::half_open && attempt_ != ~0U) ++attempt_;  // R26", ""),
    mutant("R27 linear backoff begins a step late", OPEN_TIME,
           "static_cast<double>(attempt) * static_cast<double>(backoff.increment.count())",
           "static_cast<double>(attempt - (attempt != 0 ? 1 : 0)) * static_cast<double>(backoff.increment.count())"),
    mutant("R27 exponential backoff begins a step early", OPEN_TIME,
           "std::pow(backoff.multiplier, static_cast<double>(attempt))", "std::pow(backoff.multiplier, attempt + 1.0)"),
    mutant("R27 an open time is not capped", OPEN_TIME,
           "if (!(nanoseconds < static_cast<double>(cap.count()))) return cap;", "static_cast<void>(cap);"),
    mutant("R28 jitter only shortens", OPEN_TIME, "middle * (1 + ratio), cap, jitter", "middle, cap, jitter"),
    mutant("R29 a later, shorter hint takes the place of the longer one", SETTLING,
           "retry_hint_until_ = std::max(retry_hint_until_, now + hint);", "retry_hint_until_ = now + hint;"),
    mutant("R29 a hint goes beyond the longest open time", SETTLING,
           "std::clamp(*settlement.retry_after, Duration::zero(), config_->backoff.max_open_timeout)", "*settlement.retry_after",
           (OPEN_TIME, "    hint = std::min(hint, config.backoff.max_open_timeout);\n", "")),
    mutant("R30 time goes back", IMPL_HEADER, "latest_ = std::max(latest_, now);", "latest_ = now;"),
    mutant("R33 a call that ends at its deadline is late", CALL_IN_FLIGHT,
           "ended_ > deadline_;", "ended_ >= deadline_;"),

    # ---- events, reports, metrics ----
    mutant("R37 a transition inside a listener overtakes the one it is told of", HUB,
           "    if (draining_) return;  // D3: the draining thread delivers the events of this one too, after those before them\n", ""),
    mutant("R37 a transition inside a listener waits for the next one", HUB,
           "while (!queue_.empty()) {", "if (!queue_.empty()) {"),
    mutant("R37 a listener that throws is not counted", HUB,
           "        listener.call(breaker, event);\n    } catch (...) {\n        count_error();",
           "        listener.call(breaker, event);\n    } catch (...) {"),
    mutant("R37 a new listener hears what was before it", HUB,
           "if (wanted && listener->first_number <= next.number) call_listener", "if (wanted) call_listener"),
    mutant("R40 a full ring keeps its oldest reports", REPORTS, "                oldest_ = (oldest_ + 1) % capacity_;\n", ""),
    mutant("R40 the last outcomes come oldest first", OUTCOMES,
           "(*ring_)[(added_ - 1 - back) % ring_->size()]", "(*ring_)[(added_ - last.count + back) % ring_->size()]"),
    mutant("R40 outcomes before a closing are reported after it", TRANSITIONS, "    if (admits_all(to)) outcome_log_.clear();\n", ""),
    mutant("R41 abandoned calls were not admitted", METRICS,
           "totals.timeouts + totals.ignored + totals.abandoned;", "totals.timeouts + totals.ignored;"),
    mutant("R41 the first cell is forgotten when there are more", STRIPE,
           "        visit(first_);\n        if (auto* more", "        if (!is_wide()) visit(first_);\n        if (auto* more"),
    mutant("R41 successes change sides when measuring is switched", WINDOW,
           "(held.measured() ? lifetime_.measured", "(measured_ ? lifetime_.measured"),
    mutant("R41 time open is forgotten", TRANSITIONS, "    if (is_open(from)) time_open_ += now - last_change_;\n", ""),
    mutant("R42 a bound does not belong to its bucket", BUCKET, "duration.count() > bounds[bucket]", "duration.count() >= bounds[bucket]"),

    # ---- control, reconfiguration, restoring ----
    mutant("R50 a trip is not counted", TRANSITIONS, "            ++trip_count_;\n", ""),
    mutant("R50 a reset switches on what is switched off", TRANSITIONS,
           "to == State::closed && !config_->enabled ? State::disabled : to,", "to,"),
    mutant("R51 a longer window brings back a run that was forgotten", TRANSITIONS, "        if (run_at(now) == 0) set_run(0);", "        //"),
    mutant("R51 a success is not judged by new thresholds", TRANSITIONS, "            judge_next_success();  // by the new thresholds\n", ""),
    mutant("R51 outcomes of the first slice do not move", WINDOW,
           "auto counts = slice == running_ ? sums_ : WindowCounts{};", "WindowCounts counts{};"),
    mutant("R51 outcomes move to an older slice", WINDOW,
           "other.origin_ + (slice + 1) * other.length_ - Duration{1}", "other.origin_ + slice * other.length_"),
    mutant("R52 open for longer than the configuration allows", SAVING,
           "std::min(snapshot.time_left, detail::longest_open_time(*config_))", "snapshot.time_left"),
    mutant("R52 half-open is restored as it was", SAVING, "        if (to == State::half_open) to = State::open;", "        //"),
    mutant("R52 numbers are given twice", SAVING, "        continue_generations_after(snapshot.generation, now);\n", ""),
    mutant("R52 restoring forgets the transitions that were counted", SAVING,
           "        if (history_) history->transitions = history_->transitions;\n", ""),
    mutant("R52 that it was restored hides why it opened", REPORTS, "!(restored && last_trip_)) put", "(restored || true)) put"),
]
