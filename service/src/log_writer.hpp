// Hands lines to where they are written, away from the threads that log them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace fusebox::service {

struct LogWriterOptions {
    /// Takes one or several whole lines; may block for as long as it likes. Called by the writer's thread alone.
    std::function<void(std::string_view lines)> sink;
    /// The line that says how many were dropped.
    std::function<std::string(std::uint64_t dropped)> describe_dropped;
    std::size_t max_bytes{4U << 20U};     ///< that wait; further lines are dropped
    std::size_t urgent_bytes{1U << 20U};  ///< more, for urgent lines alone
    /// How long a line that is not urgent may wait for others, so that many go out in one write.
    std::chrono::milliseconds gather{10};
};

/// A bounded queue of lines with one thread that writes them. Thread-safe; `write` never waits for the sink. A line
/// that finds no room is dropped; how many were stands in the log as soon as there is room.
class LogWriter {
public:
    explicit LogWriter(LogWriterOptions options);
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;
    /// Writes what waits, however long that takes.
    ~LogWriter();

    /// `line` without its end. An urgent line is written at once and has room where others have none.
    void write(std::string_view line, bool urgent);
    /// Waits until every line so far is written; false if that takes longer than `patience`, as when nobody reads what
    /// is written.
    bool flush(std::chrono::milliseconds patience);
    /// Lines dropped so far.
    [[nodiscard]] std::uint64_t dropped() const;

private:
    void run();

    const LogWriterOptions options_;
    mutable std::mutex mutex_;         // guards everything down to stopping_
    std::condition_variable changed_;  // lines wait, or the writer shall hurry or stop
    std::condition_variable written_;  // all_written_ has grown
    std::string waiting_;              // lines, each with its end
    std::uint64_t all_taken_{};        // lines that were accepted
    std::uint64_t all_written_{};      // lines that the sink has taken
    std::uint64_t dropped_{};
    std::uint64_t dropped_unsaid_{};  // of these, those that no line speaks of yet
    bool hurry_{};                    // what waits shall be written at once
    bool stopping_{};
    std::thread thread_;
};

}  // namespace fusebox::service
