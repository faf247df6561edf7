#include "exposition_text.hpp"

#include <cmath>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace fusebox::detail {
namespace {

class Writer {
public:
    void write(const prometheus::MetricFamily& family) {
        if (!family.help.empty()) append("# HELP ", family.name, " ", family.help, "\n");
        append("# TYPE ", family.name, " ", type_name(family.type), "\n");
        for (const auto& metric : family.metric) {
            switch (family.type) {
                case prometheus::MetricType::Counter:
                    sample(family.name, metric, metric.counter.value);
                    break;
                case prometheus::MetricType::Histogram:
                    histogram(family.name, metric);
                    break;
                default:
                    sample(family.name, metric, metric.gauge.value);
                    break;
            }
        }
    }
    [[nodiscard]] std::string take() && { return std::move(text_); }

private:
    template <class... Words>
    void append(const Words&... words) {
        (text_.append(words), ...);
    }
    static std::string_view type_name(prometheus::MetricType type) {
        switch (type) {
            case prometheus::MetricType::Counter:
                return "counter";
            case prometheus::MetricType::Histogram:
                return "histogram";
            default:
                return "gauge";
        }
    }
    void number(double value) {
        if (std::isnan(value)) {
            append("NaN");
        } else if (std::isinf(value)) {
            append(value > 0 ? "+Inf" : "-Inf");
        } else {
            fmt::format_to(std::back_inserter(text_), "{}", value);
        }
    }
    void number(std::uint64_t value) { fmt::format_to(std::back_inserter(text_), "{}", value); }
    void escaped(std::string_view value) {
        for (const char c : value) {
            switch (c) {
                case '\n':
                    append("\\n");
                    break;
                case '\\':
                    append("\\\\");
                    break;
                case '"':
                    append("\\\"");
                    break;
                default:
                    text_.push_back(c);
            }
        }
    }
    // The series up to its last label.
    void head(std::string_view name, std::string_view suffix, const prometheus::ClientMetric& metric) {
        append(name, suffix);
        char before = '{';
        for (const auto& label : metric.label) {
            text_.push_back(before);
            append(label.name, "=\"");
            escaped(label.value);
            text_.push_back('"');
            before = ',';
        }
    }
    template <class Value>
    void sample(std::string_view name, const prometheus::ClientMetric& metric, Value value,
                std::string_view suffix = {}) {
        head(name, suffix, metric);
        append(metric.label.empty() ? " " : "} ");
        number(value);
        text_.push_back('\n');
    }
    void histogram(std::string_view name, const prometheus::ClientMetric& metric) {
        sample(name, metric, metric.histogram.sample_count, "_count");
        sample(name, metric, metric.histogram.sample_sum, "_sum");
        for (const auto& bucket : metric.histogram.bucket) {
            head(name, "_bucket", metric);
            append(metric.label.empty() ? "{" : ",", "le=\"");
            number(bucket.upper_bound);
            append("\"} ");
            number(bucket.cumulative_count);
            text_.push_back('\n');
        }
        head(name, "_bucket", metric);
        append(metric.label.empty() ? "{" : ",", "le=\"+Inf\"} ");
        number(metric.histogram.sample_count);
        text_.push_back('\n');
    }

    std::string text_;
};

}  // namespace

std::string exposition_text(const std::vector<prometheus::MetricFamily>& families) {
    Writer writer;
    for (const auto& family : families) writer.write(family);
    return std::move(writer).take();
}

}  // namespace fusebox::detail
