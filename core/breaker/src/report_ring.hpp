// The last transitions of a breaker (R40).
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include <fusebox/core/transition_report.hpp>

#include "outcome_log.hpp"
#include "short_text.hpp"

namespace fusebox::detail {

/// A report of bounded size, which can be copied without taking memory.
struct KeptReport {
    static constexpr std::size_t actor_bytes = 64;
    static constexpr std::size_t note_bytes = 192;

    TransitionReport numbers;  // without texts and outcomes: the members below have them
    ShortText<actor_bytes> actor;
    ShortText<note_bytes> note;
    KeptOutcomes last_outcomes;

    [[nodiscard]] static KeptReport of(const TransitionReport& report) {
        KeptReport kept{report, ShortText<actor_bytes>{report.actor}, ShortText<note_bytes>{report.note}, {}};
        kept.numbers.last_outcomes = {};
        kept.numbers.actor = {};
        kept.numbers.note = {};
        auto& outcomes = kept.last_outcomes;
        outcomes.count = std::min(report.last_outcomes.size(), KeptOutcomes::most);
        for (std::size_t i = 0; i < outcomes.count; ++i) {
            const auto& outcome = report.last_outcomes[i];
            outcomes.newest_first[i] = {.at = report.at - outcome.age,
                                        .duration = outcome.duration,
                                        .outcome = outcome.outcome,
                                        .slow = outcome.slow,
                                        .message = ShortText<KeptOutcome::message_bytes>{outcome.message},
                                        .trace_id = ShortText<KeptOutcome::trace_id_bytes>{outcome.trace_id}};
        }
        return kept;
    }
    [[nodiscard]] TransitionReport whole() const {
        auto report = numbers;
        report.last_outcomes.reserve(last_outcomes.count);
        for (std::size_t i = 0; i < last_outcomes.count; ++i) {
            const auto& outcome = last_outcomes.newest_first[i];
            report.last_outcomes.push_back({.age = numbers.at - outcome.at,
                                            .duration = outcome.duration,
                                            .outcome = outcome.outcome,
                                            .slow = outcome.slow,
                                            .message = std::string{outcome.message.view()},
                                            .trace_id = std::string{outcome.trace_id.view()}});
        }
        report.actor = actor.view();
        report.note = note.view();
        return report;
    }
};

/// Keeps the last `capacity` reports and the last trip. Takes memory report by report until it is full, and none
/// afterwards. Not thread-safe.
class ReportRing {
public:
    explicit ReportRing(std::size_t capacity) noexcept : capacity_(capacity) {}
    /// With the reports and the last trip of an earlier ring; the oldest reports are left out where they do not fit.
    ReportRing(std::size_t capacity, const std::vector<TransitionReport>& newest_first,
               const std::optional<TransitionReport>& last_trip)
        : capacity_(capacity) {
        auto from = std::min(newest_first.size(), capacity);
        while (from != 0) slots_.push_back(std::make_unique<KeptReport>(KeptReport::of(newest_first[--from])));
        if (last_trip) last_trip_ = std::make_unique<KeptReport>(KeptReport::of(*last_trip));
    }

    /// Without memory for the report, the report is not kept.
    void add(const KeptReport& report) noexcept {
        try {
            // The report of a restored state does not say why the circuit opened: the last trip stays.
            const auto restored = report.numbers.reason == TransitionReason::restored;
            if (!allows_requests(report.numbers.to) && !(restored && last_trip_)) put(last_trip_, report);
            if (slots_.size() < capacity_) {
                slots_.push_back(std::make_unique<KeptReport>(report));
            } else {
                put(slots_[oldest_], report);
                oldest_ = (oldest_ + 1) % capacity_;
            }
        } catch (const std::bad_alloc&) {
            return;
        }
    }

    /// Newest first.
    [[nodiscard]] std::vector<TransitionReport> all() const {
        std::vector<TransitionReport> result;
        result.reserve(slots_.size());
        for (auto back = slots_.size(); back != 0; --back) {
            result.push_back(slots_[(oldest_ + back - 1) % slots_.size()]->whole());
        }
        return result;
    }
    [[nodiscard]] std::optional<TransitionReport> last_trip() const {
        if (!last_trip_) return std::nullopt;
        return last_trip_->whole();
    }

private:
    static void put(std::unique_ptr<KeptReport>& slot, const KeptReport& report) {
        if (slot) {
            *slot = report;
        } else {
            slot = std::make_unique<KeptReport>(report);
        }
    }

    std::size_t capacity_;
    std::size_t oldest_{};  // once the ring is full
    std::vector<std::unique_ptr<KeptReport>> slots_;
    std::unique_ptr<KeptReport> last_trip_;
};

}  // namespace fusebox::detail
