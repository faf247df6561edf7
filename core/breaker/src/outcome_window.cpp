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

void take_from(WindowCounts& sum, const WindowCounts& counts) noexcept {
    sum.total -= counts.total;
    sum.failures -= counts.failures;
    sum.slow -= counts.slow;
}

}  // namespace

// ---- TimeSlices ----

// The length is rounded up, so that the slices never cover less than the window.
TimeSlices::TimeSlices(const TimeWindow& shape, TimePoint origin, TimePoint now)
    : origin_(origin),
      length_((shape.duration + Duration{shape.slices - 1}) / shape.slices),
      running_(slice_of(now)),
      reach_(std::int64_t{shape.slices} + 1) {}

void TimeSlices::add(const WindowCounts& counts) noexcept {
    add_to_slice(running_, counts);
    add_to(sums_, counts);
}

void TimeSlices::add_to_slice(std::int64_t slice, const WindowCounts& counts) noexcept {
    if (totals_) totals_[place(slice)] += counts.total;
    if (bad_) {
        bad_[place(slice)].failures += counts.failures;
        bad_[place(slice)].slow += counts.slow;
    }
}

bool TimeSlices::reserve_totals() noexcept {
    if (totals_) return true;
    totals_.reset(new (std::nothrow) std::uint64_t[static_cast<std::size_t>(reach_)]{});
    if (totals_) totals_[place(running_)] = sums_.total;
    return totals_ != nullptr;
}

bool TimeSlices::reserve_bad() noexcept {
    if (bad_) return true;
    bad_.reset(new (std::nothrow) Bad[static_cast<std::size_t>(reach_)]{});
    if (bad_) bad_[place(running_)] = {sums_.failures, sums_.slow};
    return bad_ != nullptr;
}

WindowCounts TimeSlices::held_by(std::int64_t slice) const noexcept {
    auto counts = slice == running_ ? sums_ : WindowCounts{};
    if (totals_) counts.total = totals_[place(slice)];
    if (bad_) {
        counts.failures = bad_[place(slice)].failures;
        counts.slow = bad_[place(slice)].slow;
    }
    return counts;
}

void TimeSlices::forget(std::int64_t slice) noexcept {
    if (totals_) totals_[place(slice)] = 0;
    if (bad_) bad_[place(slice)] = {};
}

TimePoint TimeSlices::end() const noexcept { return origin_ + (running_ + 1) * length_; }

void TimeSlices::roll(TimePoint now) noexcept {
    const auto target = slice_of(now);
    if (target <= running_) return;
    const auto steps = std::min(target - running_, reach_);
    const auto any_bad = sums_.failures != 0 || sums_.slow != 0;
    if (sums_.total != 0 && steps < reach_ && reserve_totals() && (!any_bad || reserve_bad())) {
        for (std::int64_t step = 1; step <= steps; ++step) {
            // That of the new slice lies where the one that expires did.
            take_from(sums_, held_by(running_ + step));
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
    if (totals_) std::fill_n(totals_.get(), reach_, 0);
    if (bad_) std::fill_n(bad_.get(), reach_, Bad{});
    sums_ = {};
}

WindowCounts TimeSlices::counts_at(TimePoint now, std::uint64_t live) const noexcept {
    const auto behind = slice_of(now) - running_;
    if (behind >= reach_) return {};
    auto counts = sums_;
    counts.total += live;
    for (std::int64_t step = 1; step <= behind; ++step) take_from(counts, held_by(running_ + step));
    return counts;
}

void TimeSlices::take(const TimeSlices& other) noexcept {
    for (auto slice = std::max<std::int64_t>(0, other.running_ - other.reach_ + 1); slice <= other.running_; ++slice) {
        const auto counts = other.held_by(slice);
        if (counts.total == 0) continue;
        // Everything in a slice is taken to be as young as the youngest in it may be: never forgotten too early.
        const auto youngest = other.origin_ + (slice + 1) * other.length_ - Duration{1};
        const auto target = std::min(slice_of(youngest), running_);
        if (target <= running_ - reach_) continue;
        add_to_slice(target, counts);
        add_to(sums_, counts);
    }
}

// ---- LastOutcomes ----

LastOutcomes::LastOutcomes(const CountWindow& shape) : bad_(shape.size) {}

void LastOutcomes::add_bad(bool failure, bool slow, std::uint64_t live) noexcept {
    ++recorded_;
    const auto number = recorded_ + static_cast<std::int64_t>(live);
    const auto forgotten = number - static_cast<std::int64_t>(bad_.size());
    while (kept_ != 0 && bad(0).number <= forgotten) {
        failures_ -= bad(0).failure ? 1 : 0;
        slow_ -= bad(0).slow ? 1 : 0;
        first_ = (first_ + 1) % bad_.size();
        --kept_;
    }
    bad_[(first_ + kept_) % bad_.size()] = {number, failure, slow};
    ++kept_;
    failures_ += failure ? 1 : 0;
    slow_ += slow ? 1 : 0;
}

void LastOutcomes::clear() noexcept {
    recorded_ = 0;
    first_ = kept_ = 0;
    failures_ = slow_ = 0;
}

WindowCounts LastOutcomes::counts(std::uint64_t live) const noexcept {
    const auto recorded = recorded_ + static_cast<std::int64_t>(live);
    const auto forgotten = recorded - static_cast<std::int64_t>(bad_.size());
    WindowCounts counts{static_cast<std::uint64_t>(std::min<std::int64_t>(recorded, size())), failures_, slow_};
    for (std::size_t index = 0; index < kept_ && bad(index).number <= forgotten; ++index) {
        counts.failures -= bad(index).failure ? 1 : 0;
        counts.slow -= bad(index).slow ? 1 : 0;
    }
    return counts;
}

void LastOutcomes::take(const LastOutcomes& other) noexcept {
    const auto recorded = other.recorded_;
    // What the other one had forgotten already never happened here.
    const auto forgotten = std::max<std::int64_t>(0, recorded - other.size());
    recorded_ = recorded - forgotten;
    const auto oldest = recorded_ - static_cast<std::int64_t>(size());
    for (std::size_t index = 0; index < other.kept_; ++index) {
        auto moved = other.bad(index);
        moved.number -= forgotten;
        if (moved.number <= 0 || moved.number <= oldest) continue;
        bad_[kept_++] = moved;
        failures_ += moved.failure ? 1 : 0;
        slow_ += moved.slow ? 1 : 0;
    }
}

// ---- OutcomeWindow ----

namespace {

std::variant<TimeSlices, LastOutcomes> make_sealed(const Window& shape, TimePoint origin, TimePoint now) {
    if (const auto* time = std::get_if<TimeWindow>(&shape)) return TimeSlices{*time, origin, now};
    return LastOutcomes{std::get<CountWindow>(shape)};
}

}  // namespace

OutcomeWindow::OutcomeWindow(Stripes& stripes, const Window& shape, bool measured, bool recording, TimePoint now)
    : stripes_(stripes),
      origin_(now),
      measured_(measured),
      recording_(recording),
      sealed_(make_sealed(shape, now, now)) {
    gather(0);  // nothing: tags the cells
    publish_end();
}

void OutcomeWindow::add_success() noexcept {
    make_room();
    add_gathered(1);
}

void OutcomeWindow::make_room() noexcept {
    bool full = false;
    stripes_.for_each([&full](const Stripe& stripe) {
        // relaxed: a full cell stays full until it is sealed, under the mutex that the caller holds.
        full = full || successes_of(stripe.cell.load(std::memory_order_relaxed)) == most_successes;
    });
    if (full) add_gathered(gather(generation_));
}

void OutcomeWindow::add_bad(bool failure, bool slow) noexcept {
    if (auto* slices = std::get_if<TimeSlices>(&sealed_)) {
        slices->add({1, failure ? 1U : 0U, slow ? 1U : 0U});
    } else {
        std::get<LastOutcomes>(sealed_).add_bad(failure, slow, live());
    }
}

void OutcomeWindow::roll(TimePoint now) noexcept {
    auto* slices = std::get_if<TimeSlices>(&sealed_);
    if (slices == nullptr || now < slices->end()) return;
    slices->add({gather(generation_), 0, 0});
    slices->roll(now);
    publish_end();
}

void OutcomeWindow::clear(std::uint64_t generation, bool recording, TimePoint now) noexcept {
    recording_ = recording;
    if (auto* slices = std::get_if<TimeSlices>(&sealed_)) {
        slices->clear(now);
    } else {
        std::get<LastOutcomes>(sealed_).clear();
    }
    publish_end();
    // Only now, so that who sees a cell of this generation sees the end of its slice. What the cells held is dropped.
    gather(generation);
}

void OutcomeWindow::set_measured(bool measured) noexcept { add_gathered(gather(generation_, measured)); }

OutcomeWindow::Successes OutcomeWindow::successes() const noexcept {
    auto successes = gathered_;
    (measured_ ? successes.measured : successes.unmeasured) += live();
    return successes;
}

void OutcomeWindow::seal(std::uint64_t generation) noexcept { add_gathered(gather(generation)); }

void OutcomeWindow::reshape(const Window& shape, TimePoint now) {
    auto next = make_sealed(shape, origin_, now);  // may throw, hence first
    if (auto* slices = std::get_if<TimeSlices>(&next); slices != nullptr && !slices->reserve()) throw std::bad_alloc{};
    // Nothing gets into a cell until it is known when the new slice ends. release: as in publish_end().
    end_.store(std::numeric_limits<TimePoint::rep>::min(), std::memory_order_release);
    add_gathered(gather(generation_));
    if (next.index() == sealed_.index()) {
        if (auto* slices = std::get_if<TimeSlices>(&next)) {
            slices->take(std::get<TimeSlices>(sealed_));
        } else {
            std::get<LastOutcomes>(next).take(std::get<LastOutcomes>(sealed_));
        }
    }
    sealed_ = std::move(next);
    publish_end();
}

WindowCounts OutcomeWindow::counts(TimePoint now) const noexcept {
    const auto unsealed = recording_ ? live() : 0;
    if (const auto* slices = std::get_if<TimeSlices>(&sealed_)) return slices->counts_at(now, unsealed);
    return std::get<LastOutcomes>(sealed_).counts(unsealed);
}

bool OutcomeWindow::any_bad() const noexcept {
    if (const auto* slices = std::get_if<TimeSlices>(&sealed_)) {
        return slices->sums().failures != 0 || slices->sums().slow != 0;
    }
    return std::get<LastOutcomes>(sealed_).any_bad();
}

std::uint64_t OutcomeWindow::minimum(std::uint32_t configured) const noexcept {
    if (const auto* last = std::get_if<LastOutcomes>(&sealed_)) return std::min(configured, last->size());
    return configured;
}

std::uint64_t OutcomeWindow::gather(std::uint64_t generation) noexcept { return gather(generation, measured_); }

std::uint64_t OutcomeWindow::gather(std::uint64_t generation, bool measured) noexcept {
    const auto was_measured = std::exchange(measured_, measured);
    generation_ = generation;
    ++seals_;
    std::uint64_t successes = 0;
    stripes_.for_each(
        [&, empty = empty_cell()](Stripe& stripe) { successes += successes_of(stripe.cell.exchange(empty)); });
    (was_measured ? gathered_.measured : gathered_.unmeasured) += successes;
    return recording_ ? successes : 0;
}

std::uint64_t OutcomeWindow::live() const noexcept {
    std::uint64_t successes = 0;
    // seq_cst: pairs with the swap in try_success, I5 in circuit_breaker_impl.hpp.
    stripes_.for_each([&successes](const Stripe& stripe) { successes += successes_of(stripe.cell.load()); });
    return successes;
}

void OutcomeWindow::add_gathered(std::uint64_t successes) noexcept {
    if (auto* slices = std::get_if<TimeSlices>(&sealed_)) {
        slices->add({successes, 0, 0});
    } else {
        std::get<LastOutcomes>(sealed_).add_successes(successes);
    }
}

void OutcomeWindow::publish_end() noexcept {
    const auto* slices = std::get_if<TimeSlices>(&sealed_);
    // release: pairs with the load in try_success.
    end_.store(
        slices && recording_ ? slices->end().time_since_epoch().count() : std::numeric_limits<TimePoint::rep>::max(),
        std::memory_order_release);
}

}  // namespace fusebox::detail
