#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/sleeper.hpp>
#include <stdexcept>
#include <thread>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

TEST_CASE("§14: a stop request ends a sleep at once, before it and in it") {
    std::stop_source stop;
    std::jthread stopper{[&] { stop.request_stop(); }};
    CHECK_FALSE(system_sleeper().sleep(24h, stop.get_token()));
    CHECK_FALSE(system_sleeper().sleep(Duration::max(), stop.get_token()));
}

TEST_CASE("§14: a sleep of no time ends, and says that nobody stopped it") {
    CHECK(system_sleeper().sleep(0s));
    CHECK(system_sleeper().sleep(-1s));
}

TEST_CASE("§14: a wait ends when what it waits for is there") {
    std::mutex mutex;
    std::condition_variable_any changed;
    bool ready = false;
    std::jthread other{[&] {
        const std::lock_guard lock{mutex};
        ready = true;
        changed.notify_all();
    }};
    std::unique_lock lock{mutex};
    CHECK(system_sleeper().wait(lock, changed, 24h, {}, [&] { return ready; }));
    CHECK(lock.owns_lock());
    CHECK_FALSE(system_sleeper().wait(lock, changed, 0s, {}, [] { return false; }));
}

TEST_CASE("R31: a manual sleeper lets the time pass at once") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    const auto begun = clock.now();
    CHECK(sleeper.sleep(30s));
    CHECK(clock.now() - begun == 30s);
    std::stop_source stop;
    sleeper.on_wait([&](Duration) { stop.request_stop(); });
    CHECK_FALSE(sleeper.sleep(30s, stop.get_token()));
    CHECK(clock.now() - begun == 30s);
    CHECK(sleeper.waits() == std::vector<Duration>{30s, 30s});
    sleeper.on_wait({});
    CHECK_THROWS_AS(sleeper.sleep(Duration::max()), std::logic_error);
}

}  // namespace fusebox::test
