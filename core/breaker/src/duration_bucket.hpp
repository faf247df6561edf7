// Which bucket of the histogram a duration belongs to (R42).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include <fusebox/core/circuit_breaker_metrics.hpp>

namespace fusebox::detail {

/// An index into DurationHistogram::buckets. A bound belongs to the bucket below it.
[[nodiscard]] inline std::size_t bucket_of(Duration duration) noexcept {
    static constexpr auto bounds = [] {
        std::array<Duration::rep, duration_bucket_bounds.size()> result{};
        for (std::size_t i = 0; i < result.size(); ++i) {
            result[i] = std::chrono::round<Duration>(std::chrono::duration<double>{duration_bucket_bounds[i]}).count();
        }
        return result;
    }();
    std::size_t bucket = 0;
    while (bucket < bounds.size() && duration.count() > bounds[bucket]) ++bucket;
    return bucket;
}

}  // namespace fusebox::detail
