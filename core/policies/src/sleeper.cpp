#include <algorithm>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {
namespace {

class SystemSleeper final : public Sleeper {
protected:
    bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& changed, Duration time,
                  const std::stop_token& stop, Condition ready) override {
        if (time == Duration::max()) return changed.wait(lock, stop, ready);
        // Adding more to the time of today could overflow.
        return changed.wait_for(lock, stop, std::min<Duration>(time, std::chrono::hours{24 * 3650}), ready);
    }
};

}  // namespace

bool Sleeper::sleep(Duration time, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock{mutex};
    wait(lock, never, time, stop, [] { return false; });
    return !stop.stop_requested();
}

Sleeper& system_sleeper() noexcept {
    static SystemSleeper sleeper;
    return sleeper;
}

}  // namespace fusebox
