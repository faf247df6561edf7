#include "shared_check.hpp"

#include <exception>
#include <utility>

namespace fusebox::service {
namespace {

/// Never throws: whoever asked meanwhile waits for an answer. "it threw" is short enough to need no memory.
SharedCheck::Answer run(const std::function<SharedCheck::Answer()>& check) noexcept {
    try {
        try {
            return check();
        } catch (const std::exception& error) {
            return std::unexpected(std::string{error.what()});
        }
    } catch (...) {
        return std::unexpected(std::string{"it threw"});
    }
}

}  // namespace

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
    auto answer = run(check_);
    lock.lock();
    running_ = false;
    answer_ = std::move(answer);
    answered_at_ = clock_.now();
    answered_.notify_all();
    return *answer_;
}

}  // namespace fusebox::service
