// A mutex that is released for a while.
#pragma once

#include <mutex>

namespace fusebox::notifications {

/// Releases the lock, and takes it again when this object ends.
class Unlocked {
public:
    explicit Unlocked(std::unique_lock<std::mutex>& lock) : lock_(lock) { lock_.unlock(); }
    ~Unlocked() { lock_.lock(); }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

private:
    std::unique_lock<std::mutex>& lock_;
};

}  // namespace fusebox::notifications
