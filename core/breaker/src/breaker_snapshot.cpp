#include <algorithm>
#include <cmath>

#include <fusebox/text/duration.hpp>
#include <fusebox/text/number.hpp>
#include "snapshot_check.hpp"

namespace fusebox {

InvalidSnapshot::InvalidSnapshot(std::string field, std::string_view message)
    : std::invalid_argument("invalid breaker snapshot: " + field + " " + std::string{message}),
      field_(std::move(field)) {}

namespace detail {
namespace {

/// Throws at the first field that is bad; `path` is what the fields are part of.
class Check {
public:
    explicit Check(std::string path = {}) : path_(std::move(path)) {}

    void at_least_zero(const char* field, Duration value) const {
        if (value < Duration::zero()) fail(field, text::format_duration(value), "at least 0");
    }
    void within(const char* field, std::uint64_t value, std::uint64_t least, std::uint64_t most) const {
        if (value >= least && value <= most) return;
        fail(field, std::to_string(value),
             "at least " + std::to_string(least) + " and at most " + std::to_string(most));
    }
    void finite(const char* field, double value) const {
        if (!std::isfinite(value)) fail(field, text::format_number(value), "a finite number");
    }
    // Of an enumeration: `most` is its last value.
    template <class Enum>
    void known(const char* field, Enum value, Enum most) const {
        within(field, static_cast<std::uint64_t>(value), 0, static_cast<std::uint64_t>(most));
    }
    [[noreturn]] void fail(const char* field, const std::string& value, const std::string& range) const {
        throw InvalidSnapshot{path_ + field, "is " + value + ", must be " + range};
    }

private:
    std::string path_;
};

void check(const TransitionReport& report, const std::string& path, std::uint64_t newest) {
    const Check check{path + "."};
    check.within("sequence", report.sequence, 1, newest);
    check.known("from", report.from, State::metrics_only);
    check.known("to", report.to, State::metrics_only);
    check.known("reason", report.reason, TransitionReason::restored);
    check.finite("threshold", report.threshold);
    check.finite("observed", report.observed);
    check.within("window.failures", report.window.failures, 0, report.window.total);
    check.within("window.slow", report.window.slow, 0, report.window.total);
    check.at_least_zero("open_for", report.open_for);
    for (std::size_t index = 0; index < report.last_outcomes.size(); ++index) {
        const auto& outcome = report.last_outcomes[index];
        const Check last{path + ".last_outcomes[" + std::to_string(index) + "]."};
        last.at_least_zero("age", outcome.age);
        last.at_least_zero("duration", outcome.duration);
        last.known("outcome", outcome.outcome, Outcome::abandoned);
    }
}

}  // namespace

void check_snapshot(const BreakerSnapshot& snapshot) {
    const Check top;
    top.known("state", snapshot.state, State::metrics_only);
    top.at_least_zero("time_left", snapshot.time_left);
    top.within("trip_count", snapshot.trip_count, 0, BreakerSnapshot::most);
    top.within("generation", snapshot.generation, 0, BreakerSnapshot::most);
    auto newest = snapshot.generation;
    for (std::size_t index = 0; index < snapshot.reports.size(); ++index) {
        const auto& report = snapshot.reports[index];
        check(report, "reports[" + std::to_string(index) + "]", newest);
        newest = report.sequence - 1;  // each is older than the one before
    }
    if (snapshot.last_trip) {
        check(*snapshot.last_trip, "last_trip", snapshot.generation);
        if (allows_requests(snapshot.last_trip->to)) {
            top.fail("last_trip.to", std::string{to_string(snapshot.last_trip->to)}, "open or forced_open");
        }
    }
}

}  // namespace detail
}  // namespace fusebox
