// T1 … T4, L1 … L5 and W1 … W9: see outcome_window.hpp.
#include "outcome_window.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace fusebox::detail {
namespace {

void add_to(WindowCounts& sum, const WindowCounts& counts) noexcept {
    sum.total += counts.total;
    sum.failures += counts.failures;
    sum.slow += counts.slow;
}

void subtract_from(WindowCounts& sum, const WindowCounts& counts) noexcept {
    sum.total -= counts.total;
    sum.failures -= counts.failures;
    sum.slow -= counts.slow;
}

}  // namespace

// ---- TimeSlices ----

// The length is rounded up, so that the slices do not cover less than the window.
TimeSlices::TimeSlices(const TimeWindow& shape, TimePoint origin, TimePoint now)
    : origin_(origin),
      length_((shape.duration + Duration{shape.slices - 1}) / shape.slices),
      running_(slice_of(now)),
      capacity_(std::int64_t{shape.slices} + 1) {}

void TimeSlices::add(const WindowCounts& counts) noexcept {
    add_to_slice(running_, counts);
    add_to(sums_, counts);
}

void TimeSlices::add_to_slice(std::int64_t slice, const WindowCounts& counts) noexcept {
    if (totals_) totals_[index_of(slice)] += counts.total;
    if (bad_) {
        bad_[index_of(slice)].failures += counts.failures;
        bad_[index_of(slice)].slow += counts.slow;
    }
}

bool TimeSlices::reserve_totals() noexcept {
    if (totals_) return true;
    totals_.reset(new (std::nothrow) std::uint64_t[static_cast<std::size_t>(capacity_)]{});
    if (totals_) totals_[index_of(running_)] = sums_.total;
    return totals_ != nullptr;
}

bool TimeSlices::reserve_bad() noexcept {
    if (bad_) return true;
    bad_.reset(new (std::nothrow) Bad[static_cast<std::size_t>(capacity_)]{});
    if (bad_) bad_[index_of(running_)] = {sums_.failures, sums_.slow};
    return bad_ != nullptr;
}

WindowCounts TimeSlices::counts_of(std::int64_t slice) const noexcept {
    auto counts = slice == running_ ? sums_ : WindowCounts{};
    if (totals_) counts.total = totals_[index_of(slice)];
    if (bad_) {
        counts.failures = bad_[index_of(slice)].failures;
        counts.slow = bad_[index_of(slice)].slow;
    }
    return counts;
}

void TimeSlices::forget(std::int64_t slice) noexcept {
    if (totals_) totals_[index_of(slice)] = 0;
    if (bad_) bad_[index_of(slice)] = {};
}

TimePoint TimeSlices::end() const noexcept { return origin_ + (running_ + 1) * length_; }

void TimeSlices::roll(TimePoint now) noexcept {
    const auto target = slice_of(now);
    if (target <= running_) return;
    const auto steps = std::min(target - running_, capacity_);
    const auto any_bad = sums_.failures != 0 || sums_.slow != 0;
    if (sums_.total != 0 && steps < capacity_ && reserve_totals() && (!any_bad || reserve_bad())) {
        for (std::int64_t step = 1; step <= steps; ++step) {
            // The slice that begins lies where the one that is forgotten lay (T4).
            subtract_from(sums_, counts_of(running_ + step));
            forget(running_ + step);
        }
    } else {
        clear();
    }
    running_ = target;
}

void TimeSlices::clear(TimePoint now) noexcept {
    clear();
    running_ = std::max(running_, slice_of(now));
}

void TimeSlices::clear() noexcept {
    if (totals_) std::fill_n(totals_.get(), capacity_, 0);
    if (bad_) std::fill_n(bad_.get(), capacity_, Bad{});
    sums_ = {};
}

WindowCounts TimeSlices::counts_at(TimePoint now, std::uint64_t in_cells) const noexcept {
    const auto behind = slice_of(now) - running_;
    if (behind >= capacity_) return {};
    auto counts = sums_;
    counts.total += in_cells;
    for (std::int64_t step = 1; step <= behind; ++step) subtract_from(counts, counts_of(running_ + step));
    return counts;
}

void TimeSlices::take_over(const TimeSlices& other) noexcept {
    for (auto slice = std::max<std::int64_t>(0, other.running_ - other.capacity_ + 1); slice <= other.running_;
         ++slice) {
        const auto counts = other.counts_of(slice);
        if (counts.total == 0) continue;
        // Every outcome of a slice is taken for as young as an outcome of that slice can be, so that none is forgotten
        // too early.
        const auto youngest = other.origin_ + (slice + 1) * other.length_ - Duration{1};
        const auto target = std::min(slice_of(youngest), running_);
        if (target <= running_ - capacity_) continue;
        add_to_slice(target, counts);
        add_to(sums_, counts);
    }
}

// ---- LastOutcomes ----

LastOutcomes::LastOutcomes(const CountWindow& shape) : bad_(shape.size) {}

void LastOutcomes::add_bad(bool failure, bool slow, std::uint64_t in_cells) noexcept {
    ++recorded_;
    const auto number = recorded_ + static_cast<std::int64_t>(in_cells);
    const auto forgotten = number - static_cast<std::int64_t>(bad_.size());
    while (stored_ != 0 && bad(0).number <= forgotten) {
        failures_ -= bad(0).failure ? 1 : 0;
        slow_ -= bad(0).slow ? 1 : 0;
        first_ = (first_ + 1) % bad_.size();
        --stored_;
    }
    bad_[(first_ + stored_) % bad_.size()] = {number, failure, slow};
    ++stored_;
    failures_ += failure ? 1 : 0;
    slow_ += slow ? 1 : 0;
}

void LastOutcomes::clear() noexcept {
    recorded_ = 0;
    first_ = stored_ = 0;
    failures_ = slow_ = 0;
}

WindowCounts LastOutcomes::counts(std::uint64_t in_cells) const noexcept {
    const auto recorded = recorded_ + static_cast<std::int64_t>(in_cells);
    const auto forgotten = recorded - static_cast<std::int64_t>(bad_.size());
    WindowCounts counts{static_cast<std::uint64_t>(std::min<std::int64_t>(recorded, size())), failures_, slow_};
    for (std::size_t index = 0; index < stored_ && bad(index).number <= forgotten; ++index) {
        counts.failures -= bad(index).failure ? 1 : 0;
        counts.slow -= bad(index).slow ? 1 : 0;
    }
    return counts;
}

void LastOutcomes::take_over(const LastOutcomes& other) noexcept {
    const auto recorded = other.recorded_;
    // What the other window had forgotten never happened here: the numbers begin after it (L1).
    const auto forgotten = std::max<std::int64_t>(0, recorded - other.size());
    recorded_ = recorded - forgotten;
    const auto oldest = recorded_ - static_cast<std::int64_t>(size());
    for (std::size_t index = 0; index < other.stored_; ++index) {
        auto moved = other.bad(index);
        moved.number -= forgotten;
        if (moved.number <= 0 || moved.number <= oldest) continue;
        bad_[stored_++] = moved;
        failures_ += moved.failure ? 1 : 0;
        slow_ += moved.slow ? 1 : 0;
    }
}

// ---- OutcomeWindow ----

namespace {

std::variant<TimeSlices, LastOutcomes> make_outcomes(const Window& shape, TimePoint origin, TimePoint now) {
    if (const auto* time = std::get_if<TimeWindow>(&shape)) return TimeSlices{*time, origin, now};
    return LastOutcomes{std::get<CountWindow>(shape)};
}

}  // namespace

OutcomeWindow::OutcomeWindow(Stripes& stripes, const Window& shape, bool measured, bool recording, TimePoint now)
    : stripes_(stripes),
      origin_(now),
      measured_(measured),
      recording_(recording),
      outcomes_(make_outcomes(shape, now, now)) {
    seal_cells();  // the cells are empty: the sealing only gives them `measured` (W7)
    publish_end();
}

// ---- plain successes under the mutex ----

void OutcomeWindow::count_success(bool measured, Duration duration) noexcept {
    ++(measured ? lifetime_.measured : lifetime_.unmeasured);
    lifetime_.durations += duration;
}

void OutcomeWindow::add_success() noexcept {
    make_room();
    add_successes(1);
}

void OutcomeWindow::make_room() noexcept {
    auto& stripe = stripes_.own();
    // relaxed: a full cell stays full until a thread with the mutex empties it, and this thread has the mutex.
    if (SuccessCell{stripe.cell.load(std::memory_order_relaxed)}.full()) add_successes(empty(stripe));
}

void OutcomeWindow::add_successes(std::uint64_t count) noexcept {
    if (auto* slices = std::get_if<TimeSlices>(&outcomes_)) {
        slices->add({count, 0, 0});
    } else {
        std::get<LastOutcomes>(outcomes_).add_successes(count);
    }
}

OutcomeWindow::Successes OutcomeWindow::successes() const noexcept {
    auto successes = lifetime_;
    stripes_.for_each([&successes](const Stripe& stripe) {
        // acquire: pairs with the swap in try_success() (W9).
        const SuccessCell cell{stripe.cell.load(std::memory_order_acquire)};
        (cell.measured() ? successes.measured : successes.unmeasured) += cell.successes();
        successes.durations += cell.durations();
    });
    return successes;
}

// ---- bad outcomes ----

void OutcomeWindow::add_bad(bool failure, bool slow) noexcept {
    if (auto* slices = std::get_if<TimeSlices>(&outcomes_)) {
        slices->add({1, failure ? 1U : 0U, slow ? 1U : 0U});
    } else {
        std::get<LastOutcomes>(outcomes_).add_bad(failure, slow, in_cells());
    }
}

// ---- the cells ----

std::uint64_t OutcomeWindow::empty(Stripe& stripe) noexcept {
    // seq_cst: its release pairs with the load of the cell in try_success() (W4, W5).
    const SuccessCell held{stripe.cell.exchange(empty_cell().bits())};
    (held.measured() ? lifetime_.measured : lifetime_.unmeasured) += held.successes();
    lifetime_.durations += held.durations();
    return recording_ ? held.successes() : 0;
}

std::uint64_t OutcomeWindow::seal_cells() noexcept {
    ++seal_;
    std::uint64_t successes = 0;
    stripes_.for_each([&](Stripe& stripe) { successes += empty(stripe); });
    return successes;
}

std::uint64_t OutcomeWindow::in_cells() const noexcept {
    std::uint64_t successes = 0;
    // seq_cst: W8
    stripes_.for_each([&](const Stripe& stripe) { successes += SuccessCell{stripe.cell.load()}.successes(); });
    return successes;
}

// ---- slices and generations ----

void OutcomeWindow::publish_end() noexcept {
    const auto* slices = std::get_if<TimeSlices>(&outcomes_);
    // release: W4, W5
    end_.store(slices && recording_ ? slices->end().time_since_epoch().count() : never, std::memory_order_release);
}

void OutcomeWindow::suspend() noexcept { end_.store(suspended, std::memory_order_release); }  // W5

void OutcomeWindow::roll(TimePoint now) noexcept {
    auto* slices = std::get_if<TimeSlices>(&outcomes_);
    if (slices == nullptr || now < slices->end()) return;
    slices->add({seal_cells(), 0, 0});
    slices->roll(now);
    publish_end();
}

void OutcomeWindow::clear(bool recording, TimePoint now) noexcept {
    seal_cells();  // the window drops what the cells held; `lifetime_` has it (W1)
    recording_ = recording;
    if (auto* slices = std::get_if<TimeSlices>(&outcomes_)) {
        slices->clear(now);
    } else {
        std::get<LastOutcomes>(outcomes_).clear();
    }
    publish_end();
}

void OutcomeWindow::seal() noexcept {
    add_successes(seal_cells());
    publish_end();
}

void OutcomeWindow::set_measured(bool measured) noexcept {
    measured_ = measured;
    add_successes(seal_cells());
}

void OutcomeWindow::reshape(const Window& shape, TimePoint now) {
    auto next = make_outcomes(shape, origin_, now);  // may throw, hence first
    if (auto* slices = std::get_if<TimeSlices>(&next); slices != nullptr && !slices->reserve()) throw std::bad_alloc{};
    // The running slice may end earlier in the new shape, so no success gets in until the new end is stored (W4).
    suspend();
    add_successes(seal_cells());
    if (next.index() == outcomes_.index()) {
        if (auto* slices = std::get_if<TimeSlices>(&next)) {
            slices->take_over(std::get<TimeSlices>(outcomes_));
        } else {
            std::get<LastOutcomes>(next).take_over(std::get<LastOutcomes>(outcomes_));
        }
    }
    outcomes_ = std::move(next);
    publish_end();
}

// ---- reading ----

WindowCounts OutcomeWindow::counts(TimePoint now) const noexcept {
    const auto unsealed = recording_ ? in_cells() : 0;
    if (const auto* slices = std::get_if<TimeSlices>(&outcomes_)) return slices->counts_at(now, unsealed);
    return std::get<LastOutcomes>(outcomes_).counts(unsealed);
}

bool OutcomeWindow::any_bad() const noexcept {
    if (const auto* slices = std::get_if<TimeSlices>(&outcomes_)) {
        return slices->sums().failures != 0 || slices->sums().slow != 0;
    }
    return std::get<LastOutcomes>(outcomes_).any_bad();
}

std::uint64_t OutcomeWindow::minimum(std::uint32_t configured) const noexcept {
    if (const auto* last = std::get_if<LastOutcomes>(&outcomes_)) return std::min(configured, last->size());
    return configured;
}

}  // namespace fusebox::detail
