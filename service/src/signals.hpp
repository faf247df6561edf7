// Signals as values that one thread waits for; no code runs in a signal handler.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>

namespace fusebox::service {

/// Keeps SIGHUP for a later `Signals`; else SIGHUP ends a process that has not made one yet, as SIGTERM does.
void hold_reload_signal();

/// Blocks SIGTERM, SIGINT and SIGHUP for this thread and those that it starts, and ignores SIGPIPE. Make it before any
/// thread. One per process.
class Signals {
public:
    Signals();

    enum class Kind { stop, reload };
    /// Waits for the next one.
    [[nodiscard]] Kind wait();
    /// Waits for the next one for at most `time`.
    [[nodiscard]] std::optional<Kind> wait_for(std::chrono::milliseconds time);

private:
    sigset_t set_{};
};

}  // namespace fusebox::service
