// The last outcomes of a breaker, for its reports (R40).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/outcome.hpp>

#include "short_text.hpp"

namespace fusebox::detail {

/// An outcome of bounded size, which can be copied without taking memory.
struct KeptOutcome {
    static constexpr std::size_t message_bytes = 96;
    static constexpr std::size_t trace_id_bytes = 32;

    TimePoint at{};
    Duration duration{};
    Outcome outcome{};
    bool slow{};
    ShortText<message_bytes> message{};
    ShortText<trace_id_bytes> trace_id{};
};

/// Some outcomes, newest first.
struct KeptOutcomes {
    static constexpr std::size_t most = 8;

    std::array<KeptOutcome, most> newest_first{};
    std::size_t count{};
};

/// The last outcomes that were added. Takes its memory with the first outcome. Not thread-safe.
class OutcomeLog {
public:
    /// `fill(KeptOutcome&)` writes the outcome in its place. It must set every member: an older outcome may be there.
    /// Without memory for the log, the outcome is not kept.
    template <class Fill>
    void add(const Fill& fill) noexcept {
        if (!ring_) ring_.reset(new (std::nothrow) Ring);
        if (ring_) fill((*ring_)[added_++ % ring_->size()]);
    }
    void clear() noexcept { added_ = 0; }
    [[nodiscard]] KeptOutcomes last() const noexcept {
        KeptOutcomes last{.count = std::min(added_, KeptOutcomes::most)};
        for (std::size_t back = 0; back < last.count; ++back) {
            last.newest_first[back] = (*ring_)[(added_ - 1 - back) % ring_->size()];
        }
        return last;
    }

private:
    using Ring = std::array<KeptOutcome, KeptOutcomes::most>;

    std::unique_ptr<Ring> ring_;
    std::size_t added_{};
};

}  // namespace fusebox::detail
