// What the tests of the policies share: an error type with an opinion, and executors and sleepers under the test's
// control.
#pragma once

#include <cstddef>
#include <deque>
#include <expected>
#include <functional>
#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>
#include <fusebox/policies/executor.hpp>
#include <fusebox/policies/sleeper.hpp>
#include <fusebox/testkit/scripted_dependency.hpp>
#include <optional>
#include <string>
#include <utility>

namespace fusebox::test {

/// An error as a remote service gives it: from 500 on it is the service's fault.
struct Failure {
    int code{500};
    std::optional<fusebox::Duration> retry_after{};
};
inline fusebox::Outcome outcome_of(const Failure& failure) {
    return failure.code < 500 ? fusebox::Outcome::ignored : fusebox::Outcome::failure;
}
inline std::optional<fusebox::Duration> retry_after_of(const Failure& failure) { return failure.retry_after; }

using Result = std::expected<int, Failure>;
using Answer = std::expected<int, fusebox::CallError<Failure>>;

inline Result failed(int code = 500) { return std::unexpected{Failure{code}}; }

inline std::optional<fusebox::Rejection::Kind> refusal(const auto& answer) {
    if (answer || answer.error().rejection() == nullptr) return std::nullopt;
    return answer.error().rejection()->kind;
}

/// An operation that gives one result after the other, the last one for ever.
using Script = testkit::ScriptedDependency<int, Failure>;

/// Keeps tasks until the test runs or drops them.
class QueueExecutor final : public fusebox::Executor {
public:
    explicit QueueExecutor(std::size_t room = 16) : room_(room) {}
    [[nodiscard]] bool try_submit(std::move_only_function<void()> task) override {
        if (tasks_.size() >= room_) return false;
        tasks_.push_back(std::move(task));
        return true;
    }
    void run_first() { take(tasks_.begin())(); }
    void run_last() { take(std::prev(tasks_.end()))(); }
    void drop_all() { tasks_.clear(); }
    [[nodiscard]] std::size_t size() const { return tasks_.size(); }

private:
    std::move_only_function<void()> take(std::deque<std::move_only_function<void()>>::iterator at) {
        auto task = std::move(*at);
        tasks_.erase(at);
        return task;
    }
    std::size_t room_;
    std::deque<std::move_only_function<void()>> tasks_;
};

/// The first wait passes at once, every later one really waits: for calls that race on real threads.
class FirstWaitPasses final : public fusebox::Sleeper {
public:
    explicit FirstWaitPasses(fusebox::ManualClock& clock) : clock_(&clock) {}

protected:
    bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& changed, fusebox::Duration time,
                  const std::stop_token& stop, Condition ready) override {
        if (std::exchange(first_, false)) {
            clock_->advance(time);
            return ready();
        }
        return changed.wait(lock, stop, ready);
    }

private:
    fusebox::ManualClock* clock_;
    bool first_{true};
};

/// "invalid SUBJECT: FIELD FIELD …" of the error that `make` throws.
inline std::string bad_fields(auto make) {
    try {
        make();
    } catch (const fusebox::InvalidConfig& error) {
        const std::string text{error.what()};
        auto fields = text.substr(0, text.find(" configuration")) + ":";
        for (const auto& bad : error.errors()) fields += " " + bad.field;
        return fields;
    }
    return "no error";
}

/// Opens after one failure, probes one at a time, closes with the first good probe.
inline fusebox::CircuitBreakerConfig touchy() {
    return {.consecutive_failure_threshold = 1, .half_open_max_concurrent = 1, .success_threshold = 1};
}

/// A breaker on a clock of its own.
struct BreakerBench {
    explicit BreakerBench(const CircuitBreakerConfig& config = touchy(), BreakerOptions options = {})
        : breaker{"db", config, with_clock(std::move(options))} {}
    BreakerOptions with_clock(BreakerOptions options) const {
        options.clock = &clock;
        return options;
    }
    /// Open, and the retry time has come: the next admission is a probe.
    void wait_for_probe() {
        breaker.trip();
        clock.advance(std::chrono::hours{1});
    }
    [[nodiscard]] LifetimeTotals totals() const { return breaker.metrics().totals; }
    ManualClock clock;
    CircuitBreaker breaker;
};

}  // namespace fusebox::test
