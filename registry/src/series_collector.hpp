// Which series a scrape shows, and the metrics in each of them (R42, R63).
//
// A scrape reads every breaker of a registry while callers look breakers up, make them, remove them and call through
// them.
//
// S1. Scrapes come one after the other: each holds `Impl::scrape_mutex` from its beginning to its end. Nobody else
//     takes that mutex, so no caller waits for a scrape there.
// S2. A scrape holds the registry's lock shared, and only while it copies the list of breakers, and again while it
//     writes down which of them it has put into the sum. Look-ups go on meanwhile. A thread that makes or removes a
//     breaker waits until the copy is made: one shared_ptr for each breaker.
// S3. Metrics are read from the copied list, with no lock of the registry held. `CircuitBreaker::metrics` takes the
//     mutex of that one breaker for a moment, which a call that succeeds quickly does not take.
// S4. A breaker that was once shown in the sum stays in it for good, so that no counter of the sum goes back. While the
//     registry has the breaker, `BreakerRecord::in_sum` says so. Once it is removed, `Impl::removed_from_sum_` holds it
//     until the next scrape adds what it counted to the end to `Impl::sum_of_removed`.
// S5. `BreakerRecord::in_sum` and `Impl::removed_from_sum_` are written by scrapes under the registry's lock shared,
//     and by removals under the same lock held alone. S1 keeps scrapes apart, the lock keeps scrapes and removals
//     apart. Look-ups, which hold the lock shared at the same time, touch neither of the two.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <fusebox/core/circuit_breaker_metrics.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox {

/// One value of the label `name`: a breaker, or the sum of those beyond the cap.
struct BreakerSeries {
    std::string name;  ///< as UTF-8; bytes that are not are spelled out: `\xff`
    CircuitBreakerMetrics metrics;
    bool is_sum{};  ///< named `other`; its gauges (state, rates, time of the last change) mean nothing
};

/// Any thread; a second one waits until the first has what it asked for.
class SeriesCollector {
public:
    /// At most `max_names` breakers by name, then the sum, where there is one. The oldest breakers have series of their
    /// own, so that a new breaker never takes a series away (R63).
    static std::vector<BreakerSeries> collect(const Registry& registry, std::size_t max_names);
};

}  // namespace fusebox
