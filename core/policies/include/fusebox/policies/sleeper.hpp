// How policies wait: interruptibly, and replaceable in tests.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <type_traits>

#include <fusebox/core/clock.hpp>

namespace fusebox {

/// Where every policy waits. Implementations must be safe to use from any thread. Use `system_sleeper()` in programs
/// and `ManualSleeper` in tests.
class Sleeper {
public:
    Sleeper() = default;
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;
    virtual ~Sleeper() = default;

    /// Sleeps for `time`. False when `stop` was requested before.
    bool sleep(Duration time, const std::stop_token& stop = {});

    /// Waits until `ready()`, for no longer than `time` (`Duration::max()`: without end) and no longer than `stop`
    /// allows. Gives `ready()`, which is called with `lock` held; who makes it true notifies `changed`.
    template <class Ready>
    bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable_any& changed, Duration time,
              const std::stop_token& stop, Ready&& ready) {
        return wait_for(lock, changed, time, stop, Condition{ready});
    }

protected:
    /// A reference to a callable without arguments that gives a bool.
    class Condition {
    public:
        template <class Ready>
        explicit Condition(Ready& ready) noexcept
            : object_(const_cast<void*>(static_cast<const void*>(&ready))),  // given back its type just below
              call_([](void* object) {
                  return static_cast<bool>((*static_cast<std::add_pointer_t<Ready>>(object))());
              }) {}
        bool operator()() const { return call_(object_); }

    private:
        void* object_;
        bool (*call_)(void*);
    };

    virtual bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& changed, Duration time,
                          const std::stop_token& stop, Condition ready) = 0;
};

/// Waits in real time; lives until exit.
[[nodiscard]] Sleeper& system_sleeper() noexcept;

}  // namespace fusebox
