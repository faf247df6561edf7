#include <array>
#include <cmath>
#include <cstdint>
#include <fusebox/core/transition_report.hpp>

#include <fusebox/text/duration.hpp>
#include <fusebox/text/number.hpp>

namespace fusebox {
namespace {

constexpr std::array<std::string_view, 11> reason_names{"consecutive_failures",
                                                        "failure_rate",
                                                        "slow_call_rate",
                                                        "open_timeout_elapsed",
                                                        "probe_failed",
                                                        "probe_lease_expired",
                                                        "probe_success_rate",
                                                        "success_threshold_met",
                                                        "operator_request",
                                                        "configuration",
                                                        "restored"};

std::string percent(double ratio) { return text::format_number(std::round(ratio * 10'000) / 100) + " %"; }
std::string count(double number) { return std::to_string(static_cast<std::uint64_t>(number)); }
std::string count(double number, std::string_view noun) {
    return count(number).append(" ").append(noun).append(number == 1 ? "" : "s");
}

/// ", all timeouts" where the report still has each failure of the run that tripped, and each was a timeout.
std::string_view kind_of_run(const TransitionReport& report) {
    auto left = static_cast<std::uint64_t>(report.observed);
    for (const auto& record : report.last_outcomes) {
        if (left == 0) break;
        if (record.outcome == Outcome::ignored || record.outcome == Outcome::abandoned) continue;
        if (record.outcome != Outcome::timeout) return {};
        --left;
    }
    if (left != 0 || report.observed < 1) return {};
    return report.observed == 1 ? ", a timeout" : ", all timeouts";
}

std::string because(const TransitionReport& report) {
    const auto& window = report.window;
    switch (report.reason) {
        case TransitionReason::consecutive_failures:
            return count(report.observed, "consecutive failure").append(kind_of_run(report)) + " (threshold " +
                   count(report.threshold) + ")";
        case TransitionReason::failure_rate:
            return percent(report.observed) + " of " + std::to_string(window.total) + " calls failed (threshold " +
                   percent(report.threshold) + ")";
        case TransitionReason::slow_call_rate:
            return percent(report.observed) + " of " + std::to_string(window.total) + " calls were slow (threshold " +
                   percent(report.threshold) + ")";
        case TransitionReason::open_timeout_elapsed:
            return "the open time has passed";
        case TransitionReason::probe_failed:
            return "a probe failed";
        case TransitionReason::probe_lease_expired:
            return "a probe did not settle within " +
                   text::format_duration(std::chrono::round<Duration>(std::chrono::duration<double>{report.threshold}));
        case TransitionReason::probe_success_rate:
            return percent(report.observed) + " of " + std::to_string(window.total) + " probes succeeded (threshold " +
                   percent(report.threshold) + ")";
        case TransitionReason::success_threshold_met:
            return count(report.observed, "probe") + " in a row succeeded (threshold " + count(report.threshold) + ")";
        case TransitionReason::operator_request:
            return "requested" + (report.actor.empty() ? std::string{} : " by " + report.actor);
        case TransitionReason::configuration:
            return "the configuration changed";
        case TransitionReason::restored:
            return "restored from a store";
    }
    return "for an unknown reason";
}

}  // namespace

std::string_view to_string(TransitionReason reason) noexcept {
    const auto index = static_cast<std::size_t>(reason);
    return index < reason_names.size() ? reason_names[index] : "unknown";
}

std::string describe(const TransitionReport& report) {
    std::string text;
    text.append(to_string(report.from)).append(" → ").append(to_string(report.to)).append(": ").append(because(report));
    if (!report.note.empty()) text.append(": ").append(report.note);
    return text;
}

}  // namespace fusebox
