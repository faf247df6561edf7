// One incidentd for one store.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <utility>

namespace fusebox::service {

/// While it lives, no other incidentd uses the same SQLite file. Two would not see what the other one remembers of
/// repeats, so that an alert which fires could stay resolved. The lock is `flock` on PATH.lock beside the file: it ends
/// with the process, however that ends, and the file that stays behind means nothing.
class StoreLock {
public:
    StoreLock() = default;
    StoreLock(StoreLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    StoreLock& operator=(StoreLock&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~StoreLock();
    /// Whether nobody else can have the store.
    [[nodiscard]] bool held() const noexcept { return descriptor_ >= 0; }

    /// Waits for another process to end for `patience`, then says which one has the store. Other stores than `sqlite:`
    /// have no lock; where the lock's file cannot be made, there is none either, and opening the store says why.
    [[nodiscard]] static std::expected<StoreLock, std::string> take(
        const std::string& url, std::chrono::milliseconds patience = std::chrono::seconds{5});

private:
    explicit StoreLock(int descriptor) noexcept : descriptor_(descriptor) {}
    int descriptor_{-1};
};

}  // namespace fusebox::service
