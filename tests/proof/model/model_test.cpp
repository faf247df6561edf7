// The breaker and the reference model, taken through the same random scenarios, agree after every step.
#include <cstdlib>
#include <iostream>
#include <random>
#include <sstream>
#include <unordered_map>

#include <rapidcheck.h>
#include <rapidcheck/detail/TestListenerAdapter.h>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>

#include "proof/model/reference_breaker.hpp"
#include "proof/model/replay.hpp"
#include "proof/model/scenario.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;

namespace fusebox::test::model {
namespace {

// ---- how much of what ----

constexpr std::uint64_t fixed_seed = 20'260'101;

/// FUSEBOX_SEED: a number, or `fresh`; without it the fixed seed.
std::uint64_t seed() {
    const char* text = std::getenv("FUSEBOX_SEED");
    if (text == nullptr) return fixed_seed;
    if (std::string_view{text} != "fresh") return std::stoull(text);
    static const std::uint64_t fresh = std::random_device{}();
    return fresh;
}

/// FUSEBOX_SEQUENCES: how many sequences instead of `usual`.
int sequences(int usual) {
    const char* text = std::getenv("FUSEBOX_SEQUENCES");
    return text == nullptr ? usual : std::stoi(text);
}

// ---- random values ----

/// Numbers and choices out of one generator.
class Dice {
public:
    explicit Dice(const rc::Random& random) : random_(random) {}

    std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_.next() % limit); }
    std::uint32_t between(std::uint32_t least, std::uint32_t most) { return least + below(most - least + 1); }
    bool percent(std::uint32_t chance) { return below(100) < chance; }
    Duration seconds(std::uint32_t least, std::uint32_t most) { return std::chrono::seconds{between(least, most)}; }
    template <class Value>
    Value one_of(std::initializer_list<Value> values) {
        return values.begin()[below(static_cast<std::uint32_t>(values.size()))];
    }

private:
    rc::Random random_;
};

Window random_window(Dice& dice) {
    if (dice.percent(45)) return CountWindow{dice.between(1, 12)};
    // Ten seconds in three slices does not come out even.
    return TimeWindow{dice.seconds(1, 10), dice.between(1, 6)};
}

void randomize_judgement(Dice& dice, CircuitBreakerConfig& config) {
    config.consecutive_failure_threshold = dice.percent(35) ? 0 : dice.between(1, 6);
    config.failure_rate_threshold = dice.percent(20) ? 0.0 : dice.one_of({0.1, 0.25, 1.0 / 3.0, 0.5, 0.6, 0.7, 1.0});
    config.minimum_requests = dice.between(1, 8);
    config.slow_call_duration_threshold.reset();
    if (dice.percent(50)) config.slow_call_duration_threshold = dice.seconds(1, 3);
    config.slow_call_rate_threshold = dice.one_of({0.2, 0.5, 2.0 / 3.0, 1.0});
    config.count_timeout_as_failure = dice.percent(75);
}

void randomize_open_time(Dice& dice, CircuitBreakerConfig& config) {
    config.open_timeout = dice.seconds(1, 6);
    config.backoff = dice.one_of({Backoff::fixed(), Backoff::linear(dice.seconds(0, 3)),
                                  Backoff::exponential(dice.one_of({1.0, 1.5, 2.0, 100.0}))});
    config.backoff.max_open_timeout = config.open_timeout + dice.seconds(0, 20);
    if (config.backoff.kind == Backoff::Kind::fixed) config.backoff.max_open_timeout = dice.seconds(1, 12);
}

void randomize_half_open(Dice& dice, CircuitBreakerConfig& config) {
    config.half_open_max_concurrent = dice.between(1, 3);
    config.success_threshold = dice.between(1, 4);
    config.half_open_rate.reset();
    if (dice.percent(40)) config.half_open_rate = HalfOpenRate{dice.between(1, 4), dice.one_of({0.25, 0.5, 0.6, 1.0})};
}

void randomize_limits(Dice& dice, CircuitBreakerConfig& config) {
    config.operation_timeout.reset();
    if (dice.percent(70)) config.operation_timeout = dice.seconds(1, 5);
    config.probe_lease = config.operation_timeout.value_or(1s) + dice.seconds(0, 4);
    config.hung_call_threshold.reset();
    if (dice.percent(30)) config.hung_call_threshold = dice.seconds(1, 6);
}

CircuitBreakerConfig random_config(Dice& dice) {
    CircuitBreakerConfig config;
    config.window = random_window(dice);
    randomize_judgement(dice, config);
    randomize_open_time(dice, config);
    randomize_half_open(dice, config);
    randomize_limits(dice, config);
    config.enabled = dice.percent(96);
    return config;
}

/// As an operator changes it: one thing, seldom all.
CircuitBreakerConfig changed_config(Dice& dice, CircuitBreakerConfig config) {
    switch (dice.below(8)) {
        case 0:
            return random_config(dice);
        case 1:
            config.enabled = !config.enabled;
            break;
        case 2:
        case 3:
            config.window = random_window(dice);
            break;
        case 4:
            randomize_judgement(dice, config);
            break;
        case 5:
            randomize_open_time(dice, config);
            break;
        case 6:
            randomize_half_open(dice, config);
            break;
        default:
            randomize_limits(dice, config);
            break;
    }
    return config;
}

/// The stretches of time at which something changes, and those just next to them.
Duration random_stretch(Dice& dice, const CircuitBreakerConfig& config) {
    const auto* time = std::get_if<TimeWindow>(&config.window);
    const auto window = time ? time->duration : Duration{5s};
    const auto slice = time ? time->duration / time->slices : Duration{1s};
    const auto stretch = [&]() -> Duration {
        switch (dice.below(10)) {
            case 0:
                return 0s;
            case 1:
                return slice;
            case 2:
                return window;
            case 3:
                return window + slice;
            case 4:
                return config.open_timeout;
            case 5:
                return config.probe_lease;
            case 6:
                return config.hung_call_threshold.value_or(100ms);
            case 7:
                return config.slow_call_duration_threshold.value_or(500ms);
            case 8:
                return config.operation_timeout.value_or(1s);
            default:
                return Duration{dice.below(2'000'000'000)};
        }
    }();
    return std::max(Duration::zero(), stretch + dice.one_of({-1ns, 0ns, 0ns, 0ns, 1ns}));
}

Outcome random_outcome(Dice& dice, std::uint32_t success_percent) {
    if (dice.percent(success_percent)) return Outcome::success;
    return dice.one_of({Outcome::failure, Outcome::failure, Outcome::failure, Outcome::timeout, Outcome::ignored});
}

Step random_step(Dice& dice, CircuitBreakerConfig& config, std::uint32_t success_percent) {
    const auto roll = dice.below(104);
    if (roll < 35) {
        Call call{random_outcome(dice, success_percent), dice.percent(70) ? 0s : random_stretch(dice, config)};
        if (dice.percent(10)) call.retry_after = dice.seconds(0, 30);
        return call;
    }
    if (roll < 52) return Admit{};
    if (roll < 70) {
        Settle settle{dice.below(4), random_outcome(dice, success_percent)};
        if (dice.percent(3)) settle.outcome = Outcome::abandoned;
        if (dice.percent(40)) settle.duration = random_stretch(dice, config);
        if (dice.percent(20)) settle.retry_after = dice.seconds(0, 30);
        return settle;
    }
    if (roll < 74) return Drop{dice.below(4)};
    if (roll < 85) return Advance{random_stretch(dice, config)};
    if (roll < 92) return AdvanceTo{AdvanceTo::Moment::next_attempt, dice.one_of({-1ns, 0ns, 0ns, 1ns})};
    if (roll < 94) return AdvanceTo{AdvanceTo::Moment::lease_end, dice.one_of({-1ns, 0ns, 1ns})};
    if (roll < 95) return StepWallClock{std::chrono::seconds{dice.one_of({-100'000, -1, 1, 100'000})}};
    if (roll < 97) {
        using enum Control::Action;
        return Control{dice.one_of({reset, force_open, trip, trip, disable, metrics_only, metrics_only})};
    }
    if (roll < 100) {
        config = changed_config(dice, config);
        return Reconfigure{config};
    }
    if (roll < 102) {
        return Restore{static_cast<State>(dice.below(6)),
                       dice.percent(10) ? Duration{1h} : random_stretch(dice, config), dice.below(4), dice.below(6),
                       dice.below(60)};
    }
    return Restart{random_stretch(dice, config)};
}

/// Successes, later failures; then time passes until (more or less) only the successes are forgotten, and something
/// happens that may look at the window without judging it. The next success is one too many failures in the window.
/// Single steps hardly ever come to this.
void add_moving_window(Dice& dice, const CircuitBreakerConfig& config, std::vector<Step>& steps) {
    const auto* time = std::get_if<TimeWindow>(&config.window);
    const auto window = time ? time->duration : Duration{5s};
    const auto slice = time ? time->duration / time->slices : Duration{1s};
    const auto add_calls = [&](Outcome outcome, std::uint32_t most) {
        for (auto left = dice.between(1, most); left != 0; --left) steps.emplace_back(Call{outcome});
    };
    if (dice.percent(50)) {  // a call of an older generation, perhaps to hang
        steps.emplace_back(Admit{});
        steps.emplace_back(Control{Control::Action::reset});
    }
    add_calls(Outcome::success, 8);
    const auto apart = slice * dice.between(1, time ? time->slices : 1);
    steps.emplace_back(Advance{apart});
    add_calls(Outcome::failure, 5);
    steps.emplace_back(Advance{window + slice - apart + dice.one_of({-1ns, 0ns, 1ns})});
    if (dice.percent(50)) steps.emplace_back(Call{Outcome::ignored, 0s, 1s});
    add_calls(Outcome::success, 2);
}

Scenario random_scenario(const rc::Random& random, int size) {
    Dice dice{random};
    Scenario scenario{random_config(dice), dice.percent(30), {}};
    const auto success_percent = dice.one_of({5U, 30U, 50U, 80U, 95U});
    auto config = scenario.config;
    const auto length = dice.between(1, 4 + static_cast<std::uint32_t>(size));
    if (dice.percent(10)) scenario.steps.emplace_back(Control{Control::Action::metrics_only});
    while (scenario.steps.size() < length) {
        if (dice.percent(3)) {
            add_moving_window(dice, config, scenario.steps);
        } else {
            scenario.steps.push_back(random_step(dice, config, success_percent));
        }
    }
    return scenario;
}

// ---- simpler ones, when one fails ----

std::vector<CircuitBreakerConfig> simpler_configs(const CircuitBreakerConfig& config) {
    std::vector<CircuitBreakerConfig> simpler;
    const auto with = [&](auto CircuitBreakerConfig::* field, const auto& value) {
        auto candidate = config;
        candidate.*field = value;
        if (candidate != config && validate(candidate).empty()) simpler.push_back(candidate);
    };
    with(&CircuitBreakerConfig::hung_call_threshold, std::nullopt);
    with(&CircuitBreakerConfig::slow_call_duration_threshold, std::nullopt);
    with(&CircuitBreakerConfig::slow_call_rate_threshold, 1.0);
    with(&CircuitBreakerConfig::half_open_rate, std::nullopt);
    with(&CircuitBreakerConfig::operation_timeout, std::nullopt);
    with(&CircuitBreakerConfig::enabled, true);
    with(&CircuitBreakerConfig::count_timeout_as_failure, true);
    with(&CircuitBreakerConfig::window, CountWindow{10});
    with(&CircuitBreakerConfig::backoff, Backoff::fixed());
    // Off before 1, and never back, or it would not end.
    with(&CircuitBreakerConfig::failure_rate_threshold, 0.0);
    if (config.failure_rate_threshold > 0.0) with(&CircuitBreakerConfig::failure_rate_threshold, 1.0);
    with(&CircuitBreakerConfig::consecutive_failure_threshold, 0U);
    if (config.consecutive_failure_threshold > 1) with(&CircuitBreakerConfig::consecutive_failure_threshold, 1U);
    with(&CircuitBreakerConfig::minimum_requests, 1U);
    with(&CircuitBreakerConfig::half_open_max_concurrent, 1U);
    with(&CircuitBreakerConfig::success_threshold, 1U);
    with(&CircuitBreakerConfig::open_timeout, 1s);
    with(&CircuitBreakerConfig::probe_lease, 5s);
    return simpler;
}

rc::Seq<Step> simpler_steps(const Step& step) {
    std::vector<Step> simpler;
    const auto shorter = [](Duration duration, const auto& add) {
        for (const Duration candidate : {Duration{0s}, Duration{std::chrono::floor<std::chrono::seconds>(duration)},
                                         Duration{std::chrono::round<std::chrono::milliseconds>(duration)}}) {
            if (candidate != duration) add(candidate);
        }
    };
    if (const auto* call = std::get_if<Call>(&step)) {
        if (call->outcome == Outcome::timeout)
            simpler.emplace_back(Call{Outcome::failure, call->takes, call->retry_after});
        if (call->retry_after) simpler.emplace_back(Call{call->outcome, call->takes});
        shorter(call->takes,
                [&](Duration takes) { simpler.emplace_back(Call{call->outcome, takes, call->retry_after}); });
    } else if (const auto* settle = std::get_if<Settle>(&step)) {
        if (settle->which != 0) simpler.emplace_back(Settle{0, settle->outcome, settle->duration, settle->retry_after});
        if (settle->duration) simpler.emplace_back(Settle{settle->which, settle->outcome, {}, settle->retry_after});
        if (settle->retry_after) simpler.emplace_back(Settle{settle->which, settle->outcome, settle->duration, {}});
        if (settle->outcome == Outcome::timeout) {
            simpler.emplace_back(Settle{settle->which, Outcome::failure, settle->duration, settle->retry_after});
        }
    } else if (const auto* drop = std::get_if<Drop>(&step)) {
        if (drop->which != 0) simpler.emplace_back(Drop{0});
    } else if (const auto* advance = std::get_if<Advance>(&step)) {
        shorter(advance->by, [&](Duration by) { simpler.emplace_back(Advance{by}); });
    } else if (const auto* reconfigure = std::get_if<Reconfigure>(&step)) {
        for (const auto& config : simpler_configs(reconfigure->config)) simpler.emplace_back(Reconfigure{config});
    } else if (const auto* restart = std::get_if<Restart>(&step)) {
        shorter(restart->downtime, [&](Duration downtime) { simpler.emplace_back(Restart{downtime}); });
    } else if (const auto* restore = std::get_if<Restore>(&step)) {
        for (const auto& candidate : {Restore{restore->state}, Restore{restore->state, restore->time_left}}) {
            if (restore->attempt + restore->trip_count + restore->generation != 0) simpler.emplace_back(candidate);
        }
    }
    return rc::seq::fromContainer(std::move(simpler));
}

rc::Seq<Scenario> simpler_scenarios(const Scenario& scenario) {
    const auto with_steps = [scenario](std::vector<Step> steps) {
        return Scenario{scenario.config, scenario.listen_to_calls, std::move(steps)};
    };
    std::vector<Scenario> others;
    if (scenario.listen_to_calls) others.push_back({scenario.config, false, scenario.steps});
    for (const auto& config : simpler_configs(scenario.config)) {
        others.push_back({config, scenario.listen_to_calls, scenario.steps});
    }
    return rc::seq::concat(rc::seq::map(rc::shrink::removeChunks(scenario.steps), with_steps),
                           rc::seq::fromContainer(std::move(others)),
                           rc::seq::map(rc::shrink::eachElement(scenario.steps, simpler_steps), with_steps));
}

// One generator for the whole: composed of RapidCheck's own it would take most of the time.
rc::Gen<Scenario> scenarios() {
    return [](const rc::Random& random, int size) {
        return rc::shrinkable::shrinkRecur(random_scenario(random, size),
                                           [](const Scenario& scenario) { return simpler_scenarios(scenario); });
    };
}

/// Empty, or the failure with the simplest scenario that shows it.
template <class Property>
std::string falsify(const Property& property, int count, int size) {
    // Everything is given here, or RapidCheck would look into RC_PARAMS and name a seed that is not used.
    const rc::detail::TestParams params{.seed = seed(), .maxSuccess = count, .maxSize = size};
    rc::detail::TestListenerAdapter silence;
    const std::unordered_map<std::string, rc::detail::Reproduce> nothing;
    const auto result = rc::detail::checkTestable(property, rc::detail::TestMetadata{}, params, silence, nothing);
    if (result.template is<rc::detail::SuccessResult>()) return {};
    std::ostringstream text;
    rc::detail::printResultMessage(result, text);
    return text.str();
}

template <class Property>
void check(const std::string& what, const Property& property, int count, int size) {
    std::cout << what << ": " << count << " sequences, FUSEBOX_SEED=" << seed() << std::endl;
    const auto failure = falsify(property, count, size);
    if (failure.empty()) return;
    std::cout << failure << std::endl;  // here, where nobody breaks its lines
    FAIL(what << ": see above; again with FUSEBOX_SEED=" << seed());
}

/// A breaker with jitter fails one recovery after the other; empty, or the open time that is out of bounds.
std::string open_times_out_of_bounds(const rc::Random& random) {
    Dice dice{random};
    auto config = random_config(dice);
    config.enabled = true;
    config.consecutive_failure_threshold = 1;
    config.half_open_rate.reset();
    config.backoff.jitter = dice.one_of({0.01, 0.1, 0.5, 0.99});
    ManualClock clock;
    ReferenceBreaker model{config, clock.now()};
    CircuitBreaker breaker{"jitter", config, {.clock = &clock, .seed = dice.below(1'000'000)}};
    const auto cap = std::max(config.open_timeout, config.backoff.max_open_timeout);
    for (int attempt = 0; attempt < 8; ++attempt) {
        ReferenceBreaker::Ending ending{.outcome = Outcome::failure};
        if (dice.percent(30)) ending.retry_after = dice.seconds(0, 30);
        model.settle(*model.admit(clock.now()), ending, clock.now());
        breaker.try_acquire()->settle(Outcome::failure, {.retry_after = ending.retry_after});
        const auto drawn = breaker.metrics().retry_after;
        const auto middle = model.metrics(clock.now()).retry_after;
        const auto spread = config.backoff.jitter * std::chrono::duration<double, std::nano>{middle} + 1ns;
        const auto hint = std::min(ending.retry_after.value_or(0s), Duration{config.backoff.max_open_timeout});
        const bool within = drawn >= middle - spread && drawn <= middle + spread && drawn <= cap;
        if (!within || drawn < hint) {
            std::ostringstream wrong;
            wrong << describe(config) << ", jitter " << config.backoff.jitter << "\nattempt " << attempt << ", hint "
                  << hint.count() << " ns: drawn " << drawn.count() << " ns, model " << middle.count() << " ns";
            return wrong.str();
        }
        clock.advance(std::max(drawn, middle));
    }
    return {};
}

TEST_CASE("R1 … R5, R8 … R31, R40, R50 … R52: breaker and reference model agree after every step") {
    Tally tally;
    check(
        "agreement",
        [&] {
            const auto scenario = *scenarios();
            if (const auto disagreement = replay(scenario, {}, &tally)) RC_FAIL(*disagreement);
        },
        sequences(100'000), 60);
    if (const char* verbose = std::getenv("FUSEBOX_TALLY"); verbose != nullptr) {
        for (const auto& [what, times] : tally) std::cout << "    " << what << ": " << times << '\n';
    }
    // Whatever may come about, did.
    for (const auto* what : {"closed -> open: consecutive_failures",
                             "closed -> open: failure_rate",
                             "closed -> open: slow_call_rate",
                             "open -> half_open: open_timeout_elapsed",
                             "half_open -> open: probe_failed",
                             "half_open -> open: probe_lease_expired",
                             "half_open -> open: probe_success_rate",
                             "half_open -> closed: probe_success_rate",
                             "half_open -> closed: success_threshold_met",
                             "half_open -> closed: operator_request",
                             "half_open -> disabled: configuration",
                             "disabled -> closed: configuration",
                             "stale outcomes",
                             "slow calls",
                             "timeouts",
                             "rejected: circuit_open",
                             "rejected: too_many_probes",
                             "would have tripped",
                             "calls counted as hung",
                             "closed -> open: restored",
                             "half_open -> open: restored",
                             "open -> open: restored",
                             "closed -> forced_open: restored",
                             "metrics_only -> closed: restored"}) {
        CAPTURE(what);
        CHECK(tally[what] > 0);
    }
}

TEST_CASE("no field of the configuration can be off by a little without the model noticing") {
    struct Case {
        const char* what;
        Sabotage sabotage;
    };
    using Config = CircuitBreakerConfig;
    const auto time_window = [](Config& config) { return std::get_if<TimeWindow>(&config.window); };
    const std::vector<Case> cases{
        {"enabled", [](Config& config) { config.enabled = true; }},
        {"consecutive_failure_threshold", [](Config& config) { ++config.consecutive_failure_threshold; }},
        {"failure_rate_threshold",
         [](Config& config) { config.failure_rate_threshold = std::min(1.0, config.failure_rate_threshold + 1e-6); }},
        {"slow_call_duration_threshold",
         [](Config& config) {
             if (config.slow_call_duration_threshold) *config.slow_call_duration_threshold += 1ns;
         }},
        {"slow_call_rate_threshold",
         [](Config& config) {
             config.slow_call_rate_threshold = std::min(1.0, config.slow_call_rate_threshold + 1e-6);
         }},
        {"minimum_requests", [](Config& config) { ++config.minimum_requests; }},
        {"window size",
         [](Config& config) {
             if (auto* count = std::get_if<CountWindow>(&config.window)) ++count->size;
         }},
        {"window duration",
         [&](Config& config) {
             if (auto* time = time_window(config)) time->duration += 60ns;
         }},
        {"window slices",
         [&](Config& config) {
             if (auto* time = time_window(config)) ++time->slices;
         }},
        {"open_timeout",
         [](Config& config) {
             config.open_timeout += 1ns;
             config.backoff.max_open_timeout += 1ns;
         }},
        {"backoff kind", [](Config& config) { config.backoff.kind = Backoff::Kind::fixed; }},
        {"backoff increment", [](Config& config) { config.backoff.increment += 1ns; }},
        {"backoff multiplier", [](Config& config) { config.backoff.multiplier += 1e-6; }},
        {"max_open_timeout", [](Config& config) { config.backoff.max_open_timeout += 1ns; }},
        {"half_open_max_concurrent", [](Config& config) { ++config.half_open_max_concurrent; }},
        {"success_threshold", [](Config& config) { ++config.success_threshold; }},
        {"minimum_probes",
         [](Config& config) {
             if (config.half_open_rate) ++config.half_open_rate->minimum_probes;
         }},
        {"success_rate",
         [](Config& config) {
             if (config.half_open_rate) config.half_open_rate->success_rate -= 1e-6;
         }},
        {"probe_lease", [](Config& config) { config.probe_lease += 1ns; }},
        {"operation_timeout",
         [](Config& config) {
             if (config.operation_timeout) *config.operation_timeout -= 1ns;
         }},
        {"count_timeout_as_failure", [](Config& config) { config.count_timeout_as_failure = true; }},
        {"hung_call_threshold",
         [](Config& config) {
             if (config.hung_call_threshold) *config.hung_call_threshold += 1ns;
         }},
    };
    for (const auto& [what, sabotage] : cases) {
        CAPTURE(what, seed());
        const auto failure = falsify(
            [&sabotage] {
                const auto scenario = *scenarios();
                if (replay(scenario, sabotage)) RC_FAIL();
            },
            20'000, 60);
        CHECK_FALSE(failure.empty());
    }
}

TEST_CASE("R28: with jitter every open time is within its ratio of the model's, under the cap, and not before a hint") {
    check(
        "jitter",
        [] {
            const auto wrong = *rc::Gen<std::string>{
                [](const rc::Random& random, int) { return rc::shrinkable::just(open_times_out_of_bounds(random)); }};
            if (!wrong.empty()) RC_FAIL(wrong);
        },
        sequences(10'000), 60);
}

}  // namespace
}  // namespace fusebox::test::model
