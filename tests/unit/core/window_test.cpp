#include <random>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("R13: a count window holds exactly the last N outcomes") {
    Rig rig{rates_only(0, 1, CountWindow{10})};
    rig.fail(4);
    CHECK(rig.window() == WindowCounts{4, 4, 0});
    rig.succeed(6);
    CHECK(rig.window() == WindowCounts{10, 4, 0});
    rig.succeed();
    CHECK(rig.window() == WindowCounts{10, 3, 0});
    rig.succeed(2);
    CHECK(rig.window() == WindowCounts{10, 1, 0});
    rig.fail(30);
    CHECK(rig.window() == WindowCounts{10, 10, 0});
    rig.succeed(10);
    CHECK(rig.window() == WindowCounts{10, 0, 0});
}

TEST_CASE("R13: a time window forgets an outcome no later than one slice after the window, and never before") {
    const auto offset = GENERATE(0ms, 1ms, 500ms, 999ms);
    Rig rig{rates_only(0, 1, TimeWindow{.duration = 10s, .slices = 10})};
    rig.clock.advance(offset);
    rig.fail();
    rig.succeed();
    rig.clock.advance(10s);
    CHECK(rig.window() == WindowCounts{2, 1, 0});
    rig.clock.advance(1s);
    CHECK(rig.window() == WindowCounts{});
    rig.succeed();
    CHECK(rig.window() == WindowCounts{1, 0, 0});
}

TEST_CASE("R13: there is no cliff where a fixed window would begin anew") {
    // Four failures just before a boundary and four just after it are eight within the window.
    Rig rig{rates_only(0.5, 8, TimeWindow{.duration = 60s, .slices = 10})};
    rig.clock.advance(60s - 1ms);
    rig.fail(4);
    rig.clock.advance(2ms);
    rig.fail(3);
    CHECK(rig.state() == State::closed);
    rig.fail();
    CHECK(rig.state() == State::open);
}

TEST_CASE("R13: one slice is a window, too") {
    Rig rig{rates_only(0, 1, TimeWindow{.duration = 10s, .slices = 1})};
    rig.clock.advance(9s);
    rig.fail();
    rig.clock.advance(10s);
    CHECK(rig.window() == WindowCounts{1, 1, 0});
    rig.clock.advance(10s);
    CHECK(rig.window() == WindowCounts{});
}

TEST_CASE("R13: a duration that the slices do not divide loses nothing early") {
    Rig rig{rates_only(0, 1, TimeWindow{.duration = 10s, .slices = 7})};
    for (int i = 0; i < 100; ++i) {
        rig.clock.advance(37ms * i);
        rig.fail();
        const auto before = rig.window().failures;
        CHECK(before >= 1);
        rig.clock.advance(10s);
        CHECK(rig.window().failures >= 1);
        rig.clock.advance(Duration{10s} / 7 + 7ns);
        CHECK(rig.window().failures == 0);
    }
}

TEST_CASE("R13: a window that nobody used for a year is empty") {
    Rig rig{rates_only(0, 1, TimeWindow{})};
    rig.fail(3);
    rig.clock.advance(24h * 365);
    CHECK(rig.window() == WindowCounts{});
    rig.fail();
    CHECK(rig.window() == WindowCounts{1, 1, 0});
}

TEST_CASE("R12: a count window is judged when full at the latest") {
    Rig rig{rates_only(0.5, 100, CountWindow{4})};
    rig.fail(2);
    rig.succeed();
    CHECK(rig.state() == State::closed);
    rig.succeed();
    CHECK(rig.state() == State::open);
}

// What the contract says, in the most simple-minded way.
class Model {
public:
    struct Entry {
        TimePoint time;
        bool failure;
        bool slow;
    };

    explicit Model(const CircuitBreakerConfig& config, TimePoint origin) : config_(config), origin_(origin) {}

    void record(TimePoint now, bool failure, bool slow) {
        entries_.push_back({now, failure, slow});
        if (failure) {
            const auto* time = std::get_if<TimeWindow>(&config_.window);
            if (time != nullptr && run_ != 0 && now - last_failure_ > time->duration) run_ = 0;
            ++run_;
            last_failure_ = now;
        } else {
            run_ = 0;
        }
    }
    [[nodiscard]] WindowCounts counts(TimePoint now) const {
        WindowCounts counts;
        const auto* last = std::get_if<CountWindow>(&config_.window);
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (last != nullptr ? i + last->size < entries_.size() : !covers(entries_[i].time, now)) continue;
            ++counts.total;
            counts.failures += entries_[i].failure ? 1 : 0;
            counts.slow += entries_[i].slow ? 1 : 0;
        }
        return counts;
    }
    [[nodiscard]] std::optional<TransitionReason> judged(TimePoint now) const {
        if (config_.consecutive_failure_threshold != 0 && run_ >= config_.consecutive_failure_threshold) {
            return TransitionReason::consecutive_failures;
        }
        auto minimum = std::uint64_t{config_.minimum_requests};
        if (const auto* last = std::get_if<CountWindow>(&config_.window))
            minimum = std::min<std::uint64_t>(minimum, last->size);
        const auto window = counts(now);
        if (window.total < minimum) return std::nullopt;
        const auto total = static_cast<double>(window.total);
        if (config_.failure_rate_threshold > 0 &&
            static_cast<double>(window.failures) / total >= config_.failure_rate_threshold) {
            return TransitionReason::failure_rate;
        }
        if (config_.slow_call_duration_threshold &&
            static_cast<double>(window.slow) / total >= config_.slow_call_rate_threshold) {
            return TransitionReason::slow_call_rate;
        }
        return std::nullopt;
    }
    void clear() {
        entries_.clear();
        run_ = 0;
    }

private:
    // The running slice and as many complete ones as the window has.
    [[nodiscard]] bool covers(TimePoint time, TimePoint now) const {
        const auto& window = std::get<TimeWindow>(config_.window);
        const auto slice = window.duration / window.slices;
        return (now - origin_) / slice - (time - origin_) / slice <= static_cast<std::int64_t>(window.slices);
    }

    CircuitBreakerConfig config_;
    TimePoint origin_;
    std::vector<Entry> entries_;
    std::uint32_t run_{};
    TimePoint last_failure_;
};

void compare_with_model(const CircuitBreakerConfig& config, std::uint64_t seed, int steps) {
    Rig rig{config};
    Model model{config, rig.clock.now()};
    std::mt19937_64 random{seed};
    const auto draw = [&](std::uint64_t below) { return static_cast<std::int64_t>(random() % below); };
    // How bad the dependency is changes from time to time, so that all rules get their turn.
    std::int64_t failing = 10;
    std::int64_t slowing = 10;
    int trips = 0;
    for (int step = 0; step < steps; ++step) {
        if (draw(40) == 0) {
            failing = draw(60);
            slowing = draw(60);
        }
        rig.clock.advance(draw(30) == 0 ? Duration{draw(15'000'000'000)} : Duration{draw(200'000'000)});
        const auto failure = draw(100) < failing;
        const auto slow = draw(100) < slowing;
        auto permit = rig.admit();
        permit.settle(failure ? Outcome::failure : Outcome::success, {.duration = slow ? 2s : 1ms});
        model.record(rig.clock.now(), failure, slow);

        const auto expected = model.judged(rig.clock.now());
        INFO("seed " << seed << ", step " << step);
        REQUIRE(rig.state() == (expected ? State::open : State::closed));
        if (expected) {
            ++trips;
            REQUIRE(rig.breaker.last_trip()->reason == *expected);
            REQUIRE(rig.breaker.last_trip()->window == model.counts(rig.clock.now()));
            rig.breaker.reset();
            model.clear();
        } else if (draw(3) == 0) {
            REQUIRE(rig.window() == model.counts(rig.clock.now()));
        }
    }
    CHECK(trips > 10);
}

TEST_CASE("R12, R13: random outcomes are judged as a naive model judges them") {
    const auto seed = GENERATE(1U, 2U, 3U, 4U, 5U);
    CircuitBreakerConfig config;
    config.slow_call_duration_threshold = 1s;
    config.slow_call_rate_threshold = 0.45;
    config.failure_rate_threshold = 0.35;
    SECTION("over a time") {
        config.window = TimeWindow{.duration = 10s, .slices = 10};
        compare_with_model(config, seed, 4000);
    }
    SECTION("over a time, rarely enough calls") {
        config.window = TimeWindow{.duration = 2s, .slices = 4};
        config.minimum_requests = 20;
        config.consecutive_failure_threshold = 4;
        compare_with_model(config, seed, 4000);
    }
    SECTION("over the last 25") {
        config.window = CountWindow{25};
        compare_with_model(config, seed, 4000);
    }
    SECTION("over the last 7, rates only") {
        config.window = CountWindow{7};
        config.consecutive_failure_threshold = 0;
        config.failure_rate_threshold = 0.7;
        config.slow_call_rate_threshold = 0.7;
        compare_with_model(config, seed, 4000);
    }
}

}  // namespace
}  // namespace fusebox::test
