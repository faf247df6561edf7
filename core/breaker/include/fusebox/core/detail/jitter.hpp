// Seedable random numbers for spreading pauses.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <random>

namespace fusebox::detail {

/// A small seedable generator (SplitMix64), so that a fleet does not probe in step (R28). Not thread-safe.
class JitterSource {
public:
    explicit JitterSource(std::uint64_t seed) noexcept : state_(seed) {}
    /// In [0, 1).
    double next() noexcept;

private:
    std::uint64_t state_;
};

/// A `JitterSource` for many threads; lock-free.
class Jitter {
public:
    /// Without a seed from the system's entropy.
    explicit Jitter(std::optional<std::uint64_t> seed) : state_(seed ? *seed : entropy()) {}

    /// In [0, 1).
    double next() noexcept {
        // relaxed: all that counts is that no two threads draw from the same state.
        return JitterSource{state_.fetch_add(0x9E37'79B9'7F4A'7C15U, std::memory_order_relaxed)}.next();
    }

private:
    static std::uint64_t entropy() {
        std::random_device device;
        return (std::uint64_t{device()} << 32U) | device();
    }

    std::atomic<std::uint64_t> state_;
};

}  // namespace fusebox::detail
