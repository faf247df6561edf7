// The world of one execution: a breaker, a clock whose uses are steps, a record of what the threads did, and the
// checks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <fusebox/core/circuit_breaker.hpp>

#include "proof/explore/search.hpp"
#include "proof/explore/sync.hpp"

namespace fusebox::test::explore {

/// A clock for explored breakers: reading the clock and letting time pass are steps, as every use of an atomic is.
class StepClock final : public Clock {
public:
    [[nodiscard]] TimePoint now() const noexcept override { return TimePoint{Duration{now_.load()}}; }
    [[nodiscard]] WallTime wall_now() const noexcept override { return {}; }
    void advance(Duration by) noexcept { now_.fetch_add(by.count()); }

private:
    detail::Atomic<Duration::rep> now_{Duration{std::chrono::hours{1}}.count()};
};

class World {
public:
    static constexpr std::size_t most_permits = 8;

    World(const CircuitBreakerConfig& config, bool listening);

    // ---- operations: a scenario's threads are made of them; `serializable` takes each as one whole ----
    /// Asks the breaker for a permit and keeps the permit in the slot; counts a rejection.
    void acquire(std::size_t slot);
    /// Settles the permit of the slot; does nothing where the slot has no permit.
    void settle(std::size_t slot, Outcome outcome);
    /// Destroys the permit of the slot unsettled.
    void drop(std::size_t slot);
    void advance(Duration by) { clock.advance(by); }

    // ---- what `prepare` uses besides ----
    void call(Outcome outcome) {
        acquire(most_permits - 1);
        settle(most_permits - 1, outcome);
    }
    /// From closed to half-open, with nothing in flight.
    void half_open();

    // ---- what must hold after every execution ----
    /// R8, R41: nothing is lost and nothing is counted twice; R15: the chain of reports.
    void check_books();
    /// R37: the listener heard every transition in order.
    void check_listener() const;
    /// R24: time and good probes lead to closed, whatever has happened.
    void check_recovery();

    /// What an operator sees at the end of an execution, as text; `serializable` compares these texts.
    [[nodiscard]] std::string picture();

    [[nodiscard]] unsigned held() const;
    [[nodiscard]] std::uint64_t settled() const;

    StepClock clock;
    CircuitBreakerConfig config;
    CircuitBreaker breaker;
    std::array<std::optional<Permit>, most_permits> permits;
    std::array<std::uint64_t, 5> outcomes{};
    std::array<std::string, most_threads> answers;  // of each thread's admissions: probe, call or rejection
    std::uint64_t rejected{};
    std::optional<Rejection> rejection;  // the last
    unsigned most_held{};                // permits at once
    std::vector<std::uint64_t> heard;    // sequences

private:
    Subscription subscription_;
};

}  // namespace fusebox::test::explore
