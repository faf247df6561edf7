// A number that a test waits for while other threads raise it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace fusebox::test {

/// Thread-safe.
class AwaitedCount {
public:
    void raise() {
        const std::lock_guard lock{mutex_};
        ++count_;
        raised_.notify_all();
    }
    /// False: the count was still below `least` after 20 s, which no machine takes whose threads run at all.
    [[nodiscard]] bool reaches(int least) {
        std::unique_lock lock{mutex_};
        return raised_.wait_for(lock, std::chrono::seconds{20}, [&] { return count_ >= least; });
    }
    [[nodiscard]] int value() const {
        const std::lock_guard lock{mutex_};
        return count_;
    }

private:
    mutable std::mutex mutex_;  ///< guards count_
    std::condition_variable raised_;
    int count_{};
};

}  // namespace fusebox::test
