#include "exposition_text.hpp"

#include <limits>

#include <prometheus/text_serializer.h>

#include "support/catch.hpp"

using prometheus::ClientMetric;
using prometheus::MetricType;

namespace {

ClientMetric gauge(double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    return metric;
}
ClientMetric counter(double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    return metric;
}
ClientMetric histogram(std::vector<ClientMetric::Label> labels) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.histogram.sample_count = 7;
    metric.histogram.sample_sum = 1.5;
    metric.histogram.bucket = {{2, 0.001}, {5, 0.25}, {6, 60}};
    return metric;
}

}  // namespace

TEST_CASE("metrics are written line for line as prometheus-cpp writes them") {
    constexpr auto infinity = std::numeric_limits<double>::infinity();
    const std::vector<prometheus::MetricFamily> families{
        {"a_gauge",
         "With a \\\\ and a \\n.",
         MetricType::Gauge,
         {gauge(0), gauge(-2.5), gauge(0.1, {{"name", "x"}}), gauge(infinity), gauge(-infinity)}},
        {"a_counter_total",
         "Counts.",
         MetricType::Counter,
         {counter(1e6), counter(123456789012, {{"name", "a\\b\"c\nd"}, {"status", "allowed"}})}},
        {"a_histogram_seconds", "", MetricType::Histogram, {histogram({}), histogram({{"name", "x"}, {"y", "z"}})}},
        {"none_total", "Without series.", MetricType::Counter, {}},
    };
    CHECK(fusebox::detail::exposition_text(families) == prometheus::TextSerializer{}.Serialize(families));
}

TEST_CASE("a value that is no number is written as Prometheus spells it") {
    const std::vector<prometheus::MetricFamily> families{
        {"a_gauge", "", MetricType::Gauge, {gauge(std::numeric_limits<double>::quiet_NaN())}}};
    CHECK(fusebox::detail::exposition_text(families) == "# TYPE a_gauge gauge\na_gauge NaN\n");
}
