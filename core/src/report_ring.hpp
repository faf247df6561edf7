// The last transitions of a breaker, in memory that is taken once (R40).
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <fusebox/core/transition_report.hpp>

#include "text.hpp"

namespace fusebox::detail {

/// Keeps the last reports. Texts are cut, and their memory is reserved: `add` does not allocate. Not thread-safe.
class ReportRing {
public:
    static constexpr std::size_t actor_bytes = 64;
    static constexpr std::size_t note_bytes = 192;

    explicit ReportRing(std::size_t capacity) : reports_(capacity) {
        reserve(last_trip_);
        for (auto& report : reports_) reserve(report);
    }

    /// Fills in the texts of `report` (the rest is given) and keeps it.
    const TransitionReport& add(const TransitionReport& report, std::string_view actor,
                                std::string_view note) noexcept {
        auto& kept = reports_[added_++ % reports_.size()];
        fill(kept, report, actor, note);
        if (report.to == State::open || report.to == State::forced_open) fill(last_trip_, report, actor, note);
        return kept;
    }
    /// Newest first.
    [[nodiscard]] std::vector<TransitionReport> all() const {
        std::vector<TransitionReport> result;
        const auto count = added_ < reports_.size() ? added_ : reports_.size();
        result.reserve(count);
        for (std::size_t back = 1; back <= count; ++back) result.push_back(reports_[(added_ - back) % reports_.size()]);
        return result;
    }
    [[nodiscard]] std::optional<TransitionReport> last_trip() const {
        if (last_trip_.sequence == 0) return std::nullopt;
        return last_trip_;
    }

private:
    static void reserve(TransitionReport& report) {
        report.actor.reserve(actor_bytes);
        report.note.reserve(note_bytes);
    }
    static void fill(TransitionReport& kept, const TransitionReport& report, std::string_view actor,
                     std::string_view note) noexcept {
        // `report` has no texts, so that this copies numbers only, and the reserved memory stays.
        kept = report;
        kept.actor.assign(cut(actor, actor_bytes));
        kept.note.assign(cut(note, note_bytes));
    }

    std::vector<TransitionReport> reports_;
    std::size_t added_{};
    TransitionReport last_trip_;
};

}  // namespace fusebox::detail
