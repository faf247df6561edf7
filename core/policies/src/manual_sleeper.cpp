#include <fusebox/policies/manual_sleeper.hpp>
#include <stdexcept>
#include <utility>

namespace fusebox {

void ManualSleeper::on_wait(std::function<void(Duration)> hook) {
    const std::lock_guard lock{mutex_};
    hook_ = std::move(hook);
}

std::vector<Duration> ManualSleeper::waits() const {
    const std::lock_guard lock{mutex_};
    return waits_;
}

bool ManualSleeper::wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any&, Duration time,
                             const std::stop_token& stop, Condition ready) {
    if (ready()) return true;
    if (stop.stop_requested()) return false;
    std::function<void(Duration)> hook;
    {
        const std::lock_guard own_lock{mutex_};
        waits_.push_back(time);
        hook = hook_;
    }
    lock.unlock();
    if (hook) hook(time);
    lock.lock();
    if (ready()) return true;
    if (stop.stop_requested()) return false;
    if (time == Duration::max()) throw std::logic_error("a wait without end, and the hook did not end it");
    clock_->advance(time);
    return ready();
}

}  // namespace fusebox
