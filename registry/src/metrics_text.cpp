#include <fusebox/registry/metrics_text.hpp>

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <prometheus/metric_family.h>

#include "exposition_text.hpp"
#include "registry_impl.hpp"

#include "utf8.hpp"

namespace fusebox {
namespace {

/// One value of the label `name`: a breaker, or the sum of those beyond the cap.
struct Series {
    std::string name;
    CircuitBreakerMetrics metrics;
    std::uint64_t failed_calls{};
    bool is_sum{};
};

double in_seconds(Duration duration) { return std::chrono::duration<double>{duration}.count(); }

/// A scrape with one byte that is not UTF-8 is refused as a whole, so such bytes are spelled out: `\xff`.
std::string label_text(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const auto length = detail::code_point_length(text);
        if (length != 0) {
            result += text.substr(0, length);
        } else {
            fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(text[0]));
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

void add(CircuitBreakerMetrics& sum, const CircuitBreakerMetrics& part) {
    const auto add_all = [](auto& to, const auto& from) {
        std::ranges::transform(to, from, to.begin(), std::plus<>{});
    };
    sum.totals.admitted += part.totals.admitted;
    sum.totals.rejected += part.totals.rejected;
    sum.totals.successes += part.totals.successes;
    sum.totals.slow += part.totals.slow;
    sum.totals.stale += part.totals.stale;
    sum.totals.fallbacks += part.totals.fallbacks;
    sum.totals.probes += part.totals.probes;
    add_all(sum.durations.buckets, part.durations.buckets);
    sum.durations.sum += part.durations.sum;
    sum.open_duration += part.open_duration;
    for (std::size_t from = 0; from < sum.transitions.size(); ++from) {
        add_all(sum.transitions[from], part.transitions[from]);
    }
}

Series series_of(const CircuitBreaker& breaker) {
    Series series{.name = label_text(breaker.name()), .metrics = breaker.metrics(), .failed_calls = 0};
    series.failed_calls = series.metrics.totals.failed;
    return series;
}

/// `text` as a HELP line holds it.
std::string help_text(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\n') {
            result += "\\n";
        } else {
            if (c == '\\') result += c;
            result += c;
        }
    }
    return result;
}

/// The families of R42, in its order.
class Collector {
public:
    Collector(std::string_view prefix, std::vector<Series> series) : prefix_(prefix), series_(std::move(series)) {}

    std::vector<prometheus::MetricFamily> families() {
        gauge("state", "State: 0 closed, 1 open, 2 half-open, 3 forced open, 4 disabled, 5 metrics only.",
              [](const auto& m) { return static_cast<double>(m.state); });
        calls();
        counter("successful_calls_total", "Calls that succeeded.", [](const auto& m) { return m.totals.successes; });
        add("failed_calls_total", "Calls that failed, or timed out where that counts as a failure.",
            prometheus::MetricType::Counter, [](const Series& s, prometheus::ClientMetric& metric) {
                metric.counter.value = static_cast<double>(s.failed_calls);
                return true;
            });
        counter("rejected_calls_total", "Calls that the breaker did not admit.",
                [](const auto& m) { return m.totals.rejected; });
        durations();
        transitions();
        add("open_duration_seconds", "Time spent open or forced open since the breaker was made.",
            prometheus::MetricType::Gauge, [](const Series& s, prometheus::ClientMetric& metric) {
                metric.gauge.value = in_seconds(s.metrics.open_duration);
                return true;
            });
        counter("half_open_probes_total", "Calls admitted in half-open.",
                [](const auto& m) { return m.totals.probes; });
        gauge("failure_rate", "Share of failures among the calls in the window; 0 when it is empty.",
              [](const auto& m) { return m.failure_rate; });
        gauge("success_rate", "Share of successes among the calls in the window; 1 when it is empty.",
              [](const auto& m) { return m.success_rate; });
        counter("slow_calls_total", "Calls that took at least the slow-call threshold.",
                [](const auto& m) { return m.totals.slow; });
        gauge(
            "last_state_change_timestamp_seconds", "When the state last changed, in seconds since 1970.",
            [](const auto& m) { return std::chrono::duration<double>{m.last_change_wall.time_since_epoch()}.count(); });
        counter("fallbacks_total", "Fallbacks that were run.", [](const auto& m) { return m.totals.fallbacks; });
        counter("stale_outcomes_total", "Calls that ended after the state in which they were admitted.",
                [](const auto& m) { return m.totals.stale; });
        return std::move(families_);
    }

private:
    /// One metric per series for which `fill` says true.
    template <class Fill>
    void add(std::string_view name, std::string_view help, prometheus::MetricType type, Fill fill) {
        auto& family = start(name, help, type);
        for (const auto& series : series_) {
            prometheus::ClientMetric metric;
            metric.label.push_back({"name", series.name});
            if (fill(series, metric)) family.metric.push_back(std::move(metric));
        }
    }
    /// Of single breakers only: it has no meaning for their sum.
    template <class Read>
    void gauge(std::string_view name, std::string_view help, Read read) {
        add(name, help, prometheus::MetricType::Gauge, [&](const Series& series, prometheus::ClientMetric& metric) {
            metric.gauge.value = read(series.metrics);
            return !series.is_sum;
        });
    }
    template <class Read>
    void counter(std::string_view name, std::string_view help, Read read) {
        add(name, help, prometheus::MetricType::Counter, [&](const Series& series, prometheus::ClientMetric& metric) {
            metric.counter.value = static_cast<double>(read(series.metrics));
            return true;
        });
    }

    void calls() {
        auto& family = start("calls_total", "Calls that asked for admission, by the breaker's answer.",
                             prometheus::MetricType::Counter);
        for (const auto& series : series_) {
            const auto& totals = series.metrics.totals;
            for (const auto& [status, count] : {std::pair{"allowed", totals.admitted}, {"rejected", totals.rejected}}) {
                prometheus::ClientMetric metric;
                metric.label = {{"name", series.name}, {"status", status}};
                metric.counter.value = static_cast<double>(count);
                family.metric.push_back(std::move(metric));
            }
        }
    }

    void durations() {
        add("call_duration_seconds", "How long calls took.", prometheus::MetricType::Histogram,
            [](const Series& series, prometheus::ClientMetric& metric) {
                const auto& durations = series.metrics.durations;
                std::uint64_t cumulative = 0;
                for (std::size_t i = 0; i < duration_bucket_bounds.size(); ++i) {
                    cumulative += durations.buckets[i];
                    metric.histogram.bucket.push_back({cumulative, duration_bucket_bounds[i]});
                }
                metric.histogram.sample_count = durations.count();
                metric.histogram.sample_sum = in_seconds(durations.sum);
                return true;
            });
    }

    /// What every breaker goes through is there from the start, so that `rate()` sees its first time; the rest comes
    /// when it happens.
    void transitions() {
        auto& family = start("state_transitions_total", "Changes of state.", prometheus::MetricType::Counter);
        const auto usual = [](State from, State to) {
            return (from == State::closed && to == State::open) || (from == State::open && to == State::half_open) ||
                   (from == State::half_open && (to == State::open || to == State::closed));
        };
        for (const auto& series : series_) {
            const auto& transitions = series.metrics.transitions;
            for (std::size_t i = 0; i < transitions.size(); ++i) {
                for (std::size_t j = 0; j < transitions[i].size(); ++j) {
                    const auto from = static_cast<State>(i);
                    const auto to = static_cast<State>(j);
                    if (transitions[i][j] == 0 && !usual(from, to)) continue;
                    prometheus::ClientMetric metric;
                    metric.label = {{"name", series.name},
                                    {"from_state", std::string{to_string(from)}},
                                    {"to_state", std::string{to_string(to)}}};
                    metric.counter.value = static_cast<double>(transitions[i][j]);
                    family.metric.push_back(std::move(metric));
                }
            }
        }
    }

    prometheus::MetricFamily& start(std::string_view name, std::string_view help, prometheus::MetricType type) {
        prometheus::MetricFamily family;
        family.name = fmt::format("{}{}", prefix_, name);
        family.help = help;
        family.type = type;
        return families_.emplace_back(std::move(family));
    }

    std::string_view prefix_;
    std::vector<Series> series_;
    std::vector<prometheus::MetricFamily> families_;
};

prometheus::MetricFamily convert(const MetricFamily& family) {
    const bool is_counter = family.kind == MetricFamily::Kind::counter;
    prometheus::MetricFamily result;
    result.name = family.name;
    result.help = help_text(family.help);  // the serialiser leaves it as it is
    result.type = is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    for (const auto& sample : family.samples) {
        prometheus::ClientMetric metric;
        for (const auto& [name, value] : sample.labels) metric.label.push_back({name, label_text(value)});
        (is_counter ? metric.counter.value : metric.gauge.value) = sample.value;
        result.metric.push_back(std::move(metric));
    }
    return result;
}

}  // namespace

/// Which series there are, and what is in them.
class SeriesCollector {
public:
    /// The oldest breakers have series of their own, so that a new one never takes a series away (R63).
    static std::vector<Series> collect(const Registry& registry, std::size_t max_names) {
        auto& impl = *registry.impl_;
        const std::lock_guard lock{impl.summed.mutex};
        std::vector<std::shared_ptr<CircuitBreaker>> removed;
        auto breakers = impl.begin_scrape(removed);
        // What was counted in and is gone stays counted in, as it was at the end. All or, when something throws, none: then
        // the next scrape does it.
        auto sum = impl.summed.removed;
        auto failed_calls = impl.summed.removed_failed_calls;
        for (const auto& breaker : removed) {
            const auto series = series_of(*breaker);
            add(sum, series.metrics);
            failed_calls += series.failed_calls;
        }
        impl.summed.any = impl.summed.any || !removed.empty();
        impl.summed.removed = sum;
        impl.summed.removed_failed_calls = failed_calls;
        impl.forget_removed(removed.size());
        std::ranges::sort(breakers, {}, &Registry::Impl::Aged::number);
        const auto singles = std::ranges::count(breakers, false, &Registry::Impl::Aged::summed);
        const bool has_sum = impl.summed.any || static_cast<std::size_t>(singles) > max_names ||
                             static_cast<std::size_t>(singles) < breakers.size();

        std::vector<Series> own;
        Series other{.name = "other", .metrics = {}, .failed_calls = 0, .is_sum = true};
        std::vector<std::shared_ptr<CircuitBreaker>> newly_summed;
        const auto count_in = [&](const Series& series) {
            add(other.metrics, series.metrics);
            other.failed_calls += series.failed_calls;
        };
        for (const auto& [number, summed, breaker] : breakers) {
            auto series = series_of(*breaker);
            if (summed || own.size() == max_names || (has_sum && series.name == other.name)) {
                count_in(series);
                if (!summed) newly_summed.push_back(breaker);
            } else {
                own.push_back(std::move(series));
            }
        }
        impl.mark_summed(newly_summed);
        add(other.metrics, impl.summed.removed);
        other.failed_calls += impl.summed.removed_failed_calls;

        std::ranges::sort(own, {}, &Series::name);
        if (has_sum) own.push_back(std::move(other));
        return own;
    }
};

std::string prometheus_text(const Registry& registry, const MetricsOptions& options,
                            const std::vector<MetricFamily>& more) {
    auto families = Collector{options.prefix, SeriesCollector::collect(registry, options.max_names)}.families();
    for (const auto& family : more) families.push_back(convert(family));
    return detail::exposition_text(families);
}

}  // namespace fusebox
