#include "lookup/striped_mutex.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace fusebox::test {
namespace {

using detail::StripedSharedMutex;

TEST_CASE("R61: whoever holds the lock alone is alone, and the others see all that was written") {
    constexpr int writes = 300;
    StripedSharedMutex mutex;
    // Not atomic: only the lock keeps readers from one without the other.
    int first = 0;
    int second = 0;
    std::atomic<bool> torn{false};
    std::atomic<bool> went_back{false};
    {
        std::vector<std::jthread> threads;
        for (int writer = 0; writer < 2; ++writer) {
            threads.emplace_back([&] {
                for (int i = 0; i < writes; ++i) {
                    const std::lock_guard lock{mutex};
                    ++first;
                    std::this_thread::yield();
                    ++second;
                }
            });
        }
        for (std::size_t reader = 0; reader < 2; ++reader) {
            threads.emplace_back([&, reader] {
                for (int last = 0; last < 2 * writes; std::this_thread::yield()) {
                    const StripedSharedMutex::Shared lock{mutex, reader};
                    if (first != second) torn = true;
                    if (first < last) went_back = true;
                    last = first;
                }
            });
        }
    }
    CHECK_FALSE(torn);
    CHECK_FALSE(went_back);
    CHECK(first == 2 * writes);
    CHECK(second == 2 * writes);
}

TEST_CASE("R61: of the readers at a stripe the one that found no other is alone, until the last of them has left") {
    StripedSharedMutex mutex;
    auto first = std::make_unique<StripedSharedMutex::Shared>(mutex, 3);
    CHECK(first->alone());
    CHECK(first->stripe() == 3);
    auto second = std::make_unique<StripedSharedMutex::Shared>(mutex, 3);
    CHECK_FALSE(second->alone());
    CHECK(StripedSharedMutex::Shared(mutex, 4).alone());
    first.reset();
    CHECK_FALSE(StripedSharedMutex::Shared(mutex, 3).alone());  // the second is still there
    second.reset();
    CHECK(StripedSharedMutex::Shared(mutex, 3).alone());
}

}  // namespace
}  // namespace fusebox::test
