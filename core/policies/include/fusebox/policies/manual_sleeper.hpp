// A sleeper that never sleeps: it moves a manual clock on, so that no test has to wait.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

/// A `Sleeper` for tests. A wait calls the hook, which stands for what others do meanwhile; when that neither fulfils
/// the wait nor stops it, the whole time passes at once on the clock. Safe to use from any thread.
///
///     fusebox::ManualClock clock;
///     fusebox::ManualSleeper sleeper{clock};
///     fusebox::Retry retry{{.max_attempts = 3}, {.clock = &clock, .sleeper = &sleeper}};
///     // … run calls …
///     CHECK(sleeper.waits().size() == 2);
class ManualSleeper final : public Sleeper {
public:
    /// `clock` must outlive the sleeper.
    explicit ManualSleeper(ManualClock& clock) : clock_(&clock) {}

    /// `hook(time)` is called at the beginning of each wait, with no lock held.
    void on_wait(std::function<void(Duration)> hook);
    /// How long each wait so far was meant to take at most.
    [[nodiscard]] std::vector<Duration> waits() const;

protected:
    bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& changed, Duration time,
                  const std::stop_token& stop, Condition ready) override;

private:
    ManualClock* clock_;
    mutable std::mutex mutex_;  // guards what follows
    std::function<void(Duration)> hook_;
    std::vector<Duration> waits_;
};

}  // namespace fusebox
