// How many bytes bodies may take at once: those of requests, with what is built from them, and those of answers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

namespace fusebox::middleware {

/// A quarter of the budget is for small shares, so that large ones leave room for them. All functions may be called
/// from any thread.
class MemoryBudget {
public:
    static constexpr std::size_t small_share = 1U << 20U;

    explicit MemoryBudget(std::size_t most) : most_(most) {}

    /// What one request holds; given back when the share goes. A share belongs to one thread.
    class Share {
    public:
        explicit Share(MemoryBudget& budget) : budget_(budget) {}
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;
        ~Share() { budget_.give_back(bytes_); }

        /// False, with nothing taken, where the budget does not have `bytes` more.
        [[nodiscard]] bool grow(std::size_t bytes);

    private:
        MemoryBudget& budget_;
        std::size_t bytes_{};
    };

    [[nodiscard]] std::size_t held() const noexcept { return held_; }
    /// Whether a share found no room within the last two seconds.
    [[nodiscard]] bool was_short() const noexcept;

private:
    void give_back(std::size_t bytes);

    const std::size_t most_;
    std::atomic<std::size_t> held_{0};
    std::atomic<std::chrono::steady_clock::time_point> short_at_{};  ///< when a share last found no room
    std::atomic<bool> was_large_{false};  ///< a large share has gone since memory was given back to the system
};

}  // namespace fusebox::middleware
