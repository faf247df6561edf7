#include "shared_check.hpp"

#include <exception>
#include <utility>

namespace fusebox::service {

SharedCheck::SharedCheck(std::function<Answer()> check, Duration fresh_for, const Clock& clock)
    : check_(std::move(check)), fresh_for_(fresh_for), clock_(clock) {}

SharedCheck::Answer SharedCheck::ask() {
    std::unique_lock lock(mutex_);
    if (running_) {
        answered_.wait(lock, [this] { return !running_; });
        return *answer_;
    }
    if (answer_ && clock_.now() - answered_at_ < fresh_for_) return *answer_;
    running_ = true;
    lock.unlock();
    Answer answer;
    try {
        answer = check_();
    } catch (const std::exception& error) {
        answer = std::unexpected(std::string{error.what()});
    }
    lock.lock();
    running_ = false;
    answer_ = answer;
    answered_at_ = clock_.now();
    answered_.notify_all();
    return answer;
}

}  // namespace fusebox::service
