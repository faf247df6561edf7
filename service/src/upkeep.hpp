// The work that no request asks for, done now and then on a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <expected>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fusebox/core/clock.hpp>

namespace fusebox::service {

/// What one run of a job did.
struct UpkeepResult {
    std::uint64_t done{};  ///< incidents, rows: what the job counts
    bool more{};           ///< there is more of it: the job goes on after a breath
};

struct UpkeepJob {
    std::string name;  ///< in the log and as a label in /metrics
    Duration every{};  ///< from the end of a run to the next; > 0
    Duration first{};  ///< from the start to the first run
    bool at_stop{};    ///< runs a last time when upkeep stops
    /// A small batch, so that requests need not wait long for the store. An error says why nothing was done; the job
    /// is tried again after `every`.
    std::function<std::expected<UpkeepResult, std::string>()> run{};
};

struct UpkeepOptions {
    std::vector<UpkeepJob> jobs;
    /// After each run, on its thread: what it did, or why it failed. What this throws is dropped.
    std::function<void(const UpkeepJob&, const std::expected<UpkeepResult, std::string>&)> on_run{};
    const Clock* clock{&steady_clock()};              ///< must outlive the object
    Duration breath{std::chrono::milliseconds{100}};  ///< between batches of one job
};

/// Runs each job on its schedule, one after the other, on one thread. Waits go by the steady clock: a step of the wall
/// clock delays nothing. `start`, `stop` and `run_due` from one thread; `run_due` alone, without `start`, is for tests.
class Upkeep {
public:
    explicit Upkeep(UpkeepOptions options);
    Upkeep(const Upkeep&) = delete;
    Upkeep& operator=(const Upkeep&) = delete;
    /// Stops.
    ~Upkeep();

    void start();
    /// Ends the thread after the run under way, and runs the jobs that are to run at the stop. Does nothing when not
    /// started.
    void stop();

    /// Runs each job that is due; returns how long until the next one is.
    Duration run_due();

private:
    struct Scheduled {
        UpkeepJob job;
        TimePoint due;
    };
    std::expected<UpkeepResult, std::string> run(const UpkeepJob& job);

    const UpkeepOptions options_;
    std::vector<Scheduled> jobs_;  // of the thread, once there is one
    std::mutex mutex_;             // guards stopping_
    std::condition_variable stop_;
    bool stopping_{};
    std::thread thread_;
};

}  // namespace fusebox::service
