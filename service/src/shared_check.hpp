// One answer of a costly check for everybody who asks at about the same time.
#pragma once

#include <condition_variable>
#include <expected>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include <fusebox/core/clock.hpp>

namespace fusebox::service {

/// Whoever asks gets the last answer while it is fresh; else one asker runs the check, and who asks meanwhile waits for
/// that one's answer. Thread-safe; the check runs on the thread of an asker, without a lock.
class SharedCheck {
public:
    /// Nothing where all is well; else one sentence about what is not.
    using Answer = std::expected<void, std::string>;

    SharedCheck(std::function<Answer()> check, Duration fresh_for, const Clock& clock = steady_clock());
    [[nodiscard]] Answer ask();

private:
    const std::function<Answer()> check_;
    const Duration fresh_for_;
    const Clock& clock_;
    std::mutex mutex_;                  // guards all below
    std::condition_variable answered_;  // running_ has become false
    bool running_{};
    std::optional<Answer> answer_;
    TimePoint answered_at_{};
};

}  // namespace fusebox::service
