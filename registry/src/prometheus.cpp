#include <fusebox/registry/prometheus.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string_view>
#include <utility>

#include <prometheus/text_serializer.h>

#include <fusebox/text/ascii.hpp>
#include <fusebox/text/printable.hpp>

#include "series_collector.hpp"

namespace fusebox {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

double in_seconds(std::chrono::duration<double> duration) { return duration.count(); }

/// The families of R42, in its order. A label's text is owned by its metric, so each metric has its own copy of the
/// name; nothing else is copied or moved once it stands in its family.
class Families {
public:
    Families(const std::string& prefix, const std::vector<BreakerSeries>& series) : prefix_(prefix), series_(series) {}

    std::vector<MetricFamily> build() && {
        constexpr std::size_t families = 15;
        families_.reserve(families);
        gauge("state", "State: 0 closed, 1 open, 2 half-open, 3 forced open, 4 disabled, 5 metrics only.",
              [](const auto& m) { return static_cast<double>(m.state); });
        calls();
        counter("successful_calls_total", "Calls that succeeded.", [](const auto& m) { return m.totals.successes; });
        counter("failed_calls_total", "Calls that failed, or timed out where that counts as a failure.",
                [](const auto& m) { return m.totals.failed; });
        counter("rejected_calls_total", "Calls that the breaker did not admit.",
                [](const auto& m) { return m.totals.rejected; });
        durations();
        transitions();
        open_durations();
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
        return std::move(families_);
    }

private:
    /// The metrics that are added next belong to this family; `each` of them come for every series.
    void start(std::string_view name, std::string_view help, MetricType type, std::size_t each = 1) {
        auto& family = families_.emplace_back();
        family.name.reserve(prefix_.size() + name.size());
        family.name.append(prefix_).append(name);
        family.help = help;
        family.type = type;
        family.metric.reserve(each * series_.size());
    }

    /// A metric of the family, with room for `more` labels beside the name.
    ClientMetric& add(const BreakerSeries& series, std::size_t more = 0) {
        auto& metric = families_.back().metric.emplace_back();
        metric.label.reserve(1 + more);
        metric.label.emplace_back("name", series.name);
        return metric;
    }

    template <class Read>
    void counter(std::string_view name, std::string_view help, Read read) {
        start(name, help, MetricType::Counter);
        for (const auto& series : series_) add(series).counter.value = static_cast<double>(read(series.metrics));
    }

    /// Of single breakers only: it has no meaning for their sum.
    template <class Read>
    void gauge(std::string_view name, std::string_view help, Read read) {
        start(name, help, MetricType::Gauge);
        for (const auto& series : series_) {
            if (!series.is_sum) add(series).gauge.value = read(series.metrics);
        }
    }

    void calls() {
        start("calls_total", "Calls that asked for admission, by the breaker's answer.", MetricType::Counter, 2);
        const auto add_calls = [&](const BreakerSeries& series, const char* status, std::uint64_t count) {
            auto& metric = add(series, 1);
            metric.label.emplace_back("status", status);
            metric.counter.value = static_cast<double>(count);
        };
        for (const auto& series : series_) {
            add_calls(series, "allowed", series.metrics.totals.admitted);
            add_calls(series, "rejected", series.metrics.totals.rejected);
        }
    }

    void durations() {
        start("call_duration_seconds", "How long calls took.", MetricType::Histogram);
        for (const auto& series : series_) {
            const auto& durations = series.metrics.durations;
            auto& histogram = add(series).histogram;
            histogram.sample_sum = in_seconds(durations.sum);
            histogram.bucket.reserve(durations.buckets.size());
            for (std::size_t i = 0; i < durations.buckets.size(); ++i) {
                histogram.sample_count += durations.buckets[i];
                histogram.bucket.emplace_back(histogram.sample_count, i < duration_bucket_bounds.size()
                                                                          ? duration_bucket_bounds[i]
                                                                          : std::numeric_limits<double>::infinity());
            }
        }
    }

    /// What every breaker that opens goes through is there from the start, so that `rate()` sees its first time; the
    /// rest comes when it happens.
    static bool is_usual(State from, State to) {
        return (from == State::closed && to == State::open) || (from == State::open && to == State::half_open) ||
               (from == State::half_open && (to == State::open || to == State::closed));
    }

    void transitions() {
        constexpr std::size_t usual = 4;
        start("state_transitions_total", "Changes of state.", MetricType::Counter, usual);
        for (const auto& series : series_) {
            const auto& counts = series.metrics.transitions;
            for (std::size_t from = 0; from < counts.size(); ++from) {
                for (std::size_t to = 0; to < counts[from].size(); ++to) {
                    const auto left = static_cast<State>(from);
                    const auto entered = static_cast<State>(to);
                    if (counts[from][to] == 0 && !is_usual(left, entered)) continue;
                    auto& metric = add(series, 2);
                    metric.label.emplace_back("from_state", std::string{to_string(left)});
                    metric.label.emplace_back("to_state", std::string{to_string(entered)});
                    metric.counter.value = static_cast<double>(counts[from][to]);
                }
            }
        }
    }

    /// A gauge that has a meaning for the sum too.
    void open_durations() {
        start("open_duration_seconds", "Time spent open or forced open since the breaker was made.", MetricType::Gauge);
        for (const auto& series : series_) add(series).gauge.value = in_seconds(series.metrics.open_duration);
    }

    const std::string& prefix_;
    const std::vector<BreakerSeries>& series_;
    std::vector<MetricFamily> families_;
};

/// Takes what a stream is given into one string. `TextSerializer` writes labels byte by byte: here such a byte costs a
/// comparison and a store, and the whole text a quarter less than through `std::ostringstream`.
class StringBuffer final : public std::streambuf {
public:
    /// `size`: bytes to expect. More fit too, but all is copied whenever the text outgrows its memory.
    explicit StringBuffer(std::size_t size) : text_(std::max<std::size_t>(size, 1), '\0') {
        setp(text_.data(), text_.data() + text_.size());
    }

    std::string take() && {
        text_.resize(used());
        return std::move(text_);
    }

protected:
    std::streamsize xsputn(const char* from, std::streamsize count) override {
        if (count > epptr() - pptr()) grow(static_cast<std::size_t>(count));
        char* const end = std::copy_n(from, count, pptr());
        setp(end, epptr());
        return count;
    }

    int_type overflow(int_type byte) override {
        if (traits_type::eq_int_type(byte, traits_type::eof())) return traits_type::not_eof(byte);
        grow(1);
        return sputc(traits_type::to_char_type(byte));
    }

private:
    [[nodiscard]] std::size_t used() const { return static_cast<std::size_t>(pptr() - text_.data()); }

    void grow(std::size_t count) {
        const auto size = used();
        text_.resize(std::max(2 * text_.size(), size + count));
        setp(text_.data() + size, text_.data() + text_.size());
    }

    std::string text_;
};

/// About the bytes of the text of `families`.
std::size_t text_size(const std::vector<MetricFamily>& families) {
    constexpr std::size_t rest_of_line = 30;  // value, punctuation, a histogram's suffix and bound
    constexpr std::size_t around_label = 4;
    std::size_t size = 0;
    for (const auto& family : families) {
        size += 2 * (family.name.size() + rest_of_line) + family.help.size();
        for (const auto& metric : family.metric) {
            auto line = family.name.size() + rest_of_line;
            for (const auto& label : metric.label) line += label.name.size() + label.value.size() + around_label;
            size += line * (family.type == MetricType::Histogram ? 2 + metric.histogram.bucket.size() : 1);
        }
    }
    return size;
}

MetricsOptions checked(MetricsOptions options) {
    const auto& prefix = options.prefix;
    const auto may_stand = [](char c) { return text::is_letter_or_digit(c) || c == '_' || c == ':'; };
    if (!std::ranges::all_of(prefix, may_stand) || (!prefix.empty() && text::is_digit(prefix.front()))) {
        throw std::invalid_argument{"metrics: prefix is \"" + text::printable(prefix) +
                                    "\", must be of letters, digits, '_' and ':', the first of them no digit"};
    }
    return options;
}

}  // namespace

RegistryCollectable::RegistryCollectable(const Registry& registry, MetricsOptions options)
    : registry_(registry), options_(checked(std::move(options))) {}

std::vector<MetricFamily> RegistryCollectable::Collect() const {
    return Families{options_.prefix, SeriesCollector::collect(registry_, options_.max_names)}.build();
}

std::string prometheus_text(const std::vector<MetricFamily>& families) {
    StringBuffer buffer{text_size(families)};
    std::ostream out{&buffer};
    out.exceptions(std::ostream::badbit);  // rather than a part of the text when the buffer cannot grow
    prometheus::TextSerializer{}.Serialize(out, families);
    return std::move(buffer).take();
}

std::string prometheus_text(const Registry& registry, const MetricsOptions& options) {
    return prometheus_text(RegistryCollectable{registry, options}.Collect());
}

}  // namespace fusebox
