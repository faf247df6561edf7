#include <fusebox/registry/metrics_text.hpp>

#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "exposition_text.hpp"
#include "series_collector.hpp"

namespace fusebox {
namespace {

using detail::ExpositionText;

/// What the samples of one breaker, or of the sum, are written from.
struct Series {
    std::string labels;
    CircuitBreakerMetrics metrics;
    bool is_sum{};
};

double in_seconds(std::chrono::duration<double> duration) { return duration.count(); }

std::string name_label(std::string_view name) {
    std::string labels;
    labels.reserve(name.size() + std::string_view{R"(name="")"}.size());
    detail::add_label(labels, "name", name);
    return labels;
}

/// Whether every breaker that opens goes through it.
bool is_usual(State from, State to) {
    return (from == State::closed && to == State::open) || (from == State::open && to == State::half_open) ||
           (from == State::half_open && (to == State::open || to == State::closed));
}

/// The families of R42, in its order.
class Families {
public:
    Families(ExpositionText& text, std::string_view prefix, const std::vector<Series>& series)
        : text_(text), prefix_(prefix), series_(series) {}

    void write() {
        gauge("state", "State: 0 closed, 1 open, 2 half-open, 3 forced open, 4 disabled, 5 metrics only.",
              [](const auto& m) { return static_cast<std::uint64_t>(m.state); });
        calls();
        counter("successful_calls_total", "Calls that succeeded.", [](const auto& m) { return m.totals.successes; });
        counter("failed_calls_total", "Calls that failed, or timed out where that counts as a failure.",
                [](const auto& m) { return m.totals.failed; });
        counter("rejected_calls_total", "Calls that the breaker did not admit.",
                [](const auto& m) { return m.totals.rejected; });
        durations();
        transitions();
        add("open_duration_seconds", "Time spent open or forced open since the breaker was made.", "gauge",
            [](const auto& m) { return in_seconds(m.open_duration); });
        counter("half_open_probes_total", "Calls admitted in half-open.",
                [](const auto& m) { return m.totals.probes; });
        gauge("failure_rate", "Share of failures among the calls in the window; 0 when it is empty.",
              [](const auto& m) { return m.failure_rate; });
        gauge("success_rate", "Share of successes among the calls in the window; 1 when it is empty.",
              [](const auto& m) { return m.success_rate; });
        counter("slow_calls_total", "Calls that took at least the slow-call threshold.",
                [](const auto& m) { return m.totals.slow; });
        gauge("last_state_change_timestamp_seconds", "When the state last changed, in seconds since 1970.",
              [](const auto& m) { return in_seconds(m.last_change_wall.time_since_epoch()); });
        counter("fallbacks_total", "Fallbacks that were run.", [](const auto& m) { return m.totals.fallbacks; });
        counter("stale_outcomes_total", "Calls that ended after the state in which they were admitted.",
                [](const auto& m) { return m.totals.stale; });
    }

private:
    template <class Read>
    void add(std::string_view name, std::string_view help, std::string_view type, Read read, bool with_sum = true) {
        text_.start(prefix_, name, help, type);
        for (const auto& series : series_) {
            if (with_sum || !series.is_sum) text_.sample({.labels = series.labels}, read(series.metrics));
        }
    }
    template <class Read>
    void counter(std::string_view name, std::string_view help, Read read) {
        add(name, help, "counter", read);
    }
    /// Of single breakers only: it has no meaning for their sum.
    template <class Read>
    void gauge(std::string_view name, std::string_view help, Read read) {
        add(name, help, "gauge", read, false);
    }

    void calls() {
        text_.start(prefix_, "calls_total", "Calls that asked for admission, by the breaker's answer.", "counter");
        for (const auto& [labels, metrics, is_sum] : series_) {
            text_.sample({.labels = labels, .more = R"(,status="allowed")"}, metrics.totals.admitted);
            text_.sample({.labels = labels, .more = R"(,status="rejected")"}, metrics.totals.rejected);
        }
    }

    void durations() {
        std::vector<std::string> bounds;
        bounds.reserve(duration_bucket_bounds.size() + 1);
        for (const auto bound : duration_bucket_bounds) bounds.push_back(fmt::format(R"(,le="{}")", bound));
        bounds.emplace_back(R"(,le="+Inf")");
        text_.start(prefix_, "call_duration_seconds", "How long calls took.", "histogram");
        for (const auto& [labels, metrics, is_sum] : series_) {
            const auto& durations = metrics.durations;
            text_.sample({.suffix = "_count", .labels = labels}, durations.count());
            text_.sample({.suffix = "_sum", .labels = labels}, in_seconds(durations.sum));
            std::uint64_t cumulative = 0;
            for (std::size_t i = 0; i < bounds.size(); ++i) {
                cumulative += durations.buckets[i];
                text_.sample({.suffix = "_bucket", .labels = labels, .more = bounds[i]}, cumulative);
            }
        }
    }

    /// What every breaker goes through is there from the start, so that `rate()` sees its first time; the rest comes
    /// when it happens.
    void transitions() {
        struct Change {
            std::size_t from{};
            std::size_t to{};
            bool usual{};
            std::string labels;
        };
        std::vector<Change> changes;
        constexpr auto states = std::tuple_size_v<decltype(CircuitBreakerMetrics::transitions)>;
        for (std::size_t i = 0; i < states * states; ++i) {
            const auto from = static_cast<State>(i / states);
            const auto to = static_cast<State>(i % states);
            changes.push_back({i / states, i % states, is_usual(from, to),
                               fmt::format(R"(,from_state="{}",to_state="{}")", to_string(from), to_string(to))});
        }
        text_.start(prefix_, "state_transitions_total", "Changes of state.", "counter");
        for (const auto& [labels, metrics, is_sum] : series_) {
            for (const auto& [from, to, usual, more] : changes) {
                const auto count = metrics.transitions[from][to];
                if (count != 0 || usual) text_.sample({.labels = labels, .more = more}, count);
            }
        }
    }

    ExpositionText& text_;
    std::string_view prefix_;
    const std::vector<Series>& series_;
};

void write(ExpositionText& text, const MetricFamily& family) {
    text.start("", family.name, family.help, family.kind == MetricFamily::Kind::counter ? "counter" : "gauge");
    std::string labels;
    for (const auto& sample : family.samples) {
        labels.clear();
        for (const auto& [name, value] : sample.labels) detail::add_label(labels, name, detail::readable(value));
        text.sample({.labels = labels}, sample.value);
    }
}

}  // namespace

std::string prometheus_text(const Registry& registry, const MetricsOptions& options,
                            const std::vector<MetricFamily>& more) {
    std::vector<Series> series;
    for (auto& [name, metrics, is_sum] : SeriesCollector::collect(registry, options.max_names)) {
        series.push_back({name_label(name), metrics, is_sum});
    }
    // A breaker has 35 lines, and more when it has been in unusual states; beside prefix and label they have 40 bytes each.
    constexpr std::size_t lines = 37;
    constexpr std::size_t rest = 40;
    std::size_t size = 4096;  // help and type of each family
    for (const auto& [labels, metrics, is_sum] : series) size += lines * (options.prefix.size() + labels.size() + rest);
    ExpositionText text{size};
    Families{text, options.prefix, series}.write();
    for (const auto& family : more) write(text, family);
    return std::move(text).take();
}

}  // namespace fusebox
