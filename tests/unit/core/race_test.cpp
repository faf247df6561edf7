// Eight threads against one breaker. Bounded work, no sleeping; meant to be run under ThreadSanitizer as well.
#include <array>
#include <barrier>
#include <map>
#include <random>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

constexpr int threads = 8;

/// Runs `work(thread)` on all threads at once.
template <class Work>
void race(Work work) {
    std::barrier start{threads};
    std::vector<std::thread> running;
    for (int thread = 0; thread < threads; ++thread) {
        running.emplace_back([&, thread] {
            start.arrive_and_wait();
            work(thread);
        });
    }
    for (auto& thread : running) thread.join();
}

TEST_CASE("R4: however many threads race at the retry time, never one probe more") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 3;
    Rig rig{config};
    for (int round = 0; round < 200; ++round) {
        rig.breaker.trip();
        rig.clock.advance(30s);
        std::mutex mutex;
        std::vector<Permit> probes;
        std::atomic<int> rejected = 0;
        race([&](int) {
            auto permit = rig.breaker.try_acquire();
            if (!permit) {
                ++rejected;
                return;
            }
            const std::scoped_lock lock{mutex};
            probes.push_back(*std::move(permit));
        });
        REQUIRE(probes.size() == 3);
        REQUIRE(rejected == threads - 3);
        REQUIRE(rig.breaker.metrics().probes_in_flight == 3);
        for (auto& probe : probes) {
            REQUIRE(probe.is_probe());
            probe.ignore();
        }
    }
}

TEST_CASE("R4: the bound holds while slots are freed and taken all the time") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 2;
    Rig rig{config};
    rig.half_open();
    std::atomic<int> in_flight = 0;
    std::atomic<int> most = 0;
    std::atomic<int> admitted = 0;
    race([&](int) {
        for (int i = 0; i < 2000; ++i) {
            auto permit = rig.breaker.try_acquire();
            if (!permit) continue;
            const auto now = ++in_flight;
            for (auto seen = most.load(); seen < now && !most.compare_exchange_weak(seen, now);) {
            }
            ++admitted;
            --in_flight;
            permit->ignore();
        }
    });
    CHECK(most <= 2);
    CHECK(admitted > 0);
    CHECK(rig.breaker.metrics().probes_in_flight == 0);
    CHECK(rig.admit().is_probe());
}

TEST_CASE("R8: every settled permit is counted once, whatever happens to the state meanwhile") {
    CircuitBreakerConfig config;
    config.window = GENERATE(Window{TimeWindow{.duration = 10ms, .slices = 2}}, Window{CountWindow{20}});
    config.open_timeout = 1ms;
    config.success_threshold = 2;
    config.hung_call_threshold = GENERATE(std::optional<Duration>{}, std::optional<Duration>{100s});
    Rig rig{config};
    std::atomic<std::uint64_t> admitted = 0;
    std::atomic<std::uint64_t> rejected = 0;
    std::array<std::atomic<std::uint64_t>, 5> outcomes{};
    race([&](int thread) {
        std::mt19937 random{static_cast<unsigned>(thread)};
        std::vector<Permit> held;
        for (int i = 0; i < 4000; ++i) {
            if (random() % 16 == 0) rig.clock.advance(Duration{random() % 1'000'000});
            if (auto permit = rig.breaker.try_acquire()) {
                ++admitted;
                held.push_back(*std::move(permit));
            } else {
                ++rejected;
            }
            if (random() % 64 == 0) rig.breaker.reset();
            if (held.empty() || random() % 4 == 0) continue;
            std::swap(held[random() % held.size()], held.back());
            const auto outcome = random() % 8 < 5 ? Outcome::success : static_cast<Outcome>(random() % 5);
            ++outcomes[static_cast<std::size_t>(outcome)];
            held.back().settle(outcome);
            held.pop_back();
        }
        outcomes[static_cast<std::size_t>(Outcome::abandoned)] += held.size();
    });
    const auto metrics = rig.breaker.metrics();
    CHECK(metrics.totals.admitted == admitted);
    CHECK(metrics.totals.rejected == rejected);
    CHECK(metrics.totals.successes == outcomes[0]);
    CHECK(metrics.totals.failures == outcomes[1]);
    CHECK(metrics.totals.timeouts == outcomes[2]);
    CHECK(metrics.totals.ignored == outcomes[3]);
    CHECK(metrics.totals.abandoned == outcomes[4]);
    CHECK(metrics.probes_in_flight == 0);
}

TEST_CASE("R8: outcomes of generations that are over never reach the window of the next one, and none is lost") {
    Rig rig{rates_only(0, 1, GENERATE(Window{TimeWindow{}}, Window{CountWindow{65'536}}))};
    for (int round = 0; round < 100; ++round) {
        std::array<std::map<std::uint64_t, std::uint64_t>, threads> settled;  // by generation
        race([&](int thread) {
            auto& own = settled[static_cast<std::size_t>(thread)];
            for (int i = 0; i < 300; ++i) {
                auto permit = rig.breaker.try_acquire();
                if (thread < 2 && i % 8 == 0 && i < 280) rig.breaker.reset();
                ++own[permit->generation()];
                i % 3 == 0 ? permit->failure() : permit->success();
            }
        });
        const auto metrics = rig.breaker.metrics();
        std::uint64_t of_the_last = 0;
        for (auto& own : settled) of_the_last += own[metrics.generation];
        REQUIRE(metrics.window.total == of_the_last);
        REQUIRE(metrics.totals.admitted == static_cast<std::uint64_t>(round + 1) * threads * 300);
    }
}

TEST_CASE("R12: the call that reaches the minimum trips, whichever thread makes it") {
    Rig rig{rates_only(0.25, 64, GENERATE(Window{TimeWindow{}}, Window{CountWindow{100}}))};
    for (int round = 0; round < 200; ++round) {
        // 8 threads × 8 calls, 16 of them failures, are exactly the minimum and exactly the rate: only the last one
        // trips.
        std::vector<Permit> permits;
        for (int i = 0; i < threads * 8; ++i) permits.push_back(rig.admit());
        race([&](int thread) {
            for (std::size_t i = 0; i < 8; ++i) {
                auto& permit = permits[static_cast<std::size_t>(thread) * 8 + i];
                i % 4 == static_cast<std::size_t>(thread) % 4 ? permit.failure() : permit.success();
            }
        });
        REQUIRE(rig.state() == State::open);
        REQUIRE(rig.breaker.last_trip()->window == WindowCounts{64, 16, 0});
        rig.breaker.reset();
    }
}

TEST_CASE("R11: a success that came between is never lost on the run of failures") {
    CircuitBreakerConfig config;
    config.failure_rate_threshold = 0;
    config.consecutive_failure_threshold = 1'000'000;
    Rig rig{config};
    for (int round = 0; round < 100; ++round) {
        race([&](int) {
            for (int i = 0; i < 20; ++i)
                rig.breaker.try_acquire()->settle(i % 2 == 0 ? Outcome::failure : Outcome::success);
        });
        // Every thread's last outcome was a success after its last failure.
        REQUIRE(rig.breaker.metrics().consecutive_failures < threads);
        rig.succeed();
        REQUIRE(rig.breaker.metrics().consecutive_failures == 0);
    }
}

TEST_CASE("R15: exactly one transition per generation, and listeners hear each one in order") {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 2;
    config.success_threshold = 1;
    config.open_timeout = 1us;
    Rig rig{config, {.report_capacity = 1024}};
    std::vector<TransitionReport> heard;  // one delivery at a time: no lock needed
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent& event) {
        heard.push_back(std::get<StateTransitionEvent>(event).report);
    });
    race([&](int thread) {
        for (int i = 0; i < 1000; ++i) {
            if (auto permit = rig.breaker.try_acquire())
                permit->settle((i + thread) % 3 == 0 ? Outcome::success : Outcome::failure);
            rig.clock.advance(1us);
        }
    });
    const auto metrics = rig.breaker.metrics();
    REQUIRE(heard.size() == metrics.generation);
    auto state = State::closed;
    for (std::size_t i = 0; i < heard.size(); ++i) {
        REQUIRE(heard[i].sequence == i + 1);
        REQUIRE(heard[i].from == state);
        REQUIRE(heard[i].to != state);
        state = heard[i].to;
    }
    CHECK(state == metrics.state);
    CHECK(metrics.totals.listener_errors == 0);
}

TEST_CASE("R8, R15, R52: a breaker can be saved and restored while it is used") {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 2;
    config.success_threshold = 1;
    config.open_timeout = 1us;
    Rig rig{config};
    std::vector<TransitionReport> heard;  // one delivery at a time: no lock needed
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent& event) {
        if (const auto* moved = std::get_if<StateTransitionEvent>(&event)) heard.push_back(moved->report);
    });
    std::atomic<std::uint64_t> requests = 0;
    std::atomic<bool> in_order = true;
    race([&](int thread) {
        for (int i = 0; i < 300; ++i) {
            if (thread == 0) {
                auto snapshot = rig.breaker.snapshot();
                snapshot.state = std::array{State::closed, State::open, State::half_open}[i % 3];
                snapshot.time_left = 1us;
                snapshot.generation += i % 5;
                rig.breaker.restore(snapshot);
            } else if (thread == 1) {
                const auto reports = rig.breaker.snapshot().reports;
                for (std::size_t k = 1; k < reports.size(); ++k) {
                    if (reports[k].sequence >= reports[k - 1].sequence) in_order = false;
                }
            } else {
                ++requests;
                if (auto permit = rig.breaker.try_acquire()) {
                    permit->settle((i + thread) % 3 == 0 ? Outcome::success : Outcome::failure, {.message = "refused"});
                }
                rig.clock.advance(1us);
            }
        }
    });
    CHECK(in_order);
    auto state = State::closed;
    std::uint64_t sequence = 0;
    for (const auto& report : heard) {
        REQUIRE(report.sequence > sequence);
        REQUIRE(report.from == state);
        sequence = report.sequence;
        state = report.to;
    }
    const auto metrics = rig.breaker.metrics();
    CHECK(metrics.state == state);
    CHECK(metrics.totals.requests == requests);
    CHECK(metrics.probes_in_flight == 0);
    CHECK(metrics.totals.listener_errors == 0);
}

TEST_CASE("R51: a breaker can be reconfigured, read and subscribed to while it is used") {
    Rig rig;
    race([&](int thread) {
        for (int i = 0; i < 300; ++i) {
            switch (thread) {
                case 0: {
                    CircuitBreakerConfig config;
                    if (i % 2 == 0) config.window = CountWindow{static_cast<std::uint32_t>(1 + i)};
                    if (i % 3 == 0) config.hung_call_threshold = 1ms;
                    if (i % 5 == 0) config.slow_call_duration_threshold = 1us;
                    config.half_open_max_concurrent = static_cast<std::uint32_t>(1 + i % 7);
                    rig.breaker.reconfigure(config);
                    break;
                }
                case 1:
                    (void)rig.breaker.metrics();
                    break;
                case 2:
                    (void)rig.breaker.reports();
                    break;
                case 3:
                    (void)rig.breaker.subscribe(
                        [](const CircuitBreaker& breaker, const BreakerEvent&) { (void)breaker.metrics(); },
                        EventMask::all);
                    break;
                default:
                    if (auto permit = rig.breaker.try_acquire())
                        permit->settle(i % 3 == 0 ? Outcome::failure : Outcome::success);
                    rig.clock.advance(100us);
            }
        }
    });
    rig.breaker.reset();
    rig.breaker.reconfigure({});
    rig.succeed(3);
    CHECK(rig.window() == WindowCounts{3, 0, 0});
    CHECK(rig.breaker.metrics().probes_in_flight == 0);
}

}  // namespace
}  // namespace fusebox::test
