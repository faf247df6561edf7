// Where policies run calls beside the caller's thread.
#pragma once

#include <functional>

namespace fusebox {

/// A bounded place that runs tasks on other threads. Implementations must be safe to use from any thread.
class Executor {
public:
    Executor() = default;
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;
    virtual ~Executor() = default;

    /// Never waits: false, and the task destroyed unrun, where there is no room. A task that was accepted is run once,
    /// or destroyed unrun when the executor ends. It should not throw.
    [[nodiscard]] virtual bool try_submit(std::move_only_function<void()> task) = 0;
};

}  // namespace fusebox
