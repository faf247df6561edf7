#include <cmath>

#include <fusebox/core/presets.hpp>
#include <fusebox/registry/breaker_set.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

BreakerSet good(std::string_view text) {
    auto set = BreakerSet::from_toml(text);
    if (!set) {
        for (const auto& mistake : set.error()) UNSCOPED_INFO(describe(mistake, "text"));
    }
    REQUIRE(set);
    return *std::move(set);
}

std::vector<ConfigMistake> bad(std::string_view text) {
    const auto set = BreakerSet::from_toml(text);
    REQUIRE_FALSE(set);
    return set.error();
}

/// The configuration of an entry that holds just `fields`.
CircuitBreakerConfig with(std::string_view fields) { return good("[breakers.x]\n" + std::string{fields}).resolve("x"); }

/// The one mistake of an entry that holds just `fields`, in the second line.
ConfigMistake mistake_in(std::string_view fields) {
    const auto mistakes = bad("[breakers.x]\n" + std::string{fields});
    for (const auto& mistake : mistakes) UNSCOPED_INFO(describe(mistake, "text"));
    REQUIRE(mistakes.size() == 1);
    return mistakes.front();
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST_CASE("R62: every field of the contract can be set") {
    CircuitBreakerConfig wanted;
    wanted.enabled = false;
    wanted.consecutive_failure_threshold = 7;
    wanted.failure_rate_threshold = 0.25;
    wanted.slow_call_duration_threshold = 2s;
    wanted.slow_call_rate_threshold = 0.75;
    wanted.minimum_requests = 20;
    wanted.window = TimeWindow{2min, 12};
    wanted.open_timeout = 45s;
    wanted.backoff = {
        .kind = Backoff::Kind::linear, .increment = 3s, .multiplier = 4.0, .max_open_timeout = 5min, .jitter = 0.1};
    wanted.half_open_max_concurrent = 4;
    wanted.success_threshold = 2;
    wanted.half_open_rate = HalfOpenRate{8, 0.9};
    wanted.probe_lease = 90s;
    wanted.operation_timeout = 15s;
    wanted.count_timeout_as_failure = false;
    wanted.hung_call_threshold = 25s;
    CHECK(with(R"(
        enabled = false
        consecutive_failure_threshold = 7
        failure_rate_threshold = 0.25
        slow_call_duration_threshold = "2s"
        slow_call_rate_threshold = 0.75
        minimum_requests = 20
        window = { duration = "2m", slices = 12 }
        open_timeout = "45s"
        backoff = { kind = "linear", increment = "3s", multiplier = 4, max_open_timeout = "5m", jitter = 0.1 }
        half_open_max_concurrent = 4
        success_threshold = 2
        half_open_mode = { minimum_probes = 8, success_rate = 0.9 }
        probe_lease = "90s"
        operation_timeout = "15s"
        count_timeout_as_failure = false
        hung_call_threshold = "25s"
    )") == wanted);
}

TEST_CASE("R62: the short forms of window, backoff and half-open mode") {
    CHECK(with("window = '30s'").window == Window{TimeWindow{30s, 10}});
    CHECK(with("window = { duration = '30s' }").window == Window{TimeWindow{30s, 10}});
    CHECK(with("window = { slices = 6 }").window == Window{TimeWindow{60s, 6}});
    CHECK(with("window = { count = 50 }").window == Window{CountWindow{50}});
    CHECK(with("preset = 'action_executor'\nwindow = '30s'").window == Window{TimeWindow{30s, 10}});
    CHECK(with("backoff = 'exponential'").backoff == Backoff::exponential(2.0));
    CHECK(with("backoff = 'linear'").backoff == Backoff::linear({}));
    CHECK(with("backoff = 'fixed'").backoff == Backoff::fixed());
    CHECK(with("half_open_mode = {}").half_open_rate == HalfOpenRate{});
    CHECK(with("half_open_mode = 'strict'").half_open_rate == std::nullopt);
}

TEST_CASE("R62: what can be off can be turned off") {
    const auto untimed = with("window = { count = 50 }\noperation_timeout = 'off'\nmeasure_duration = false");
    CHECK_FALSE(untimed.measure_duration);
    CHECK(with("operation_timeout = 'off'").operation_timeout == std::nullopt);
    CHECK(with("consecutive_failure_threshold = 'off'").consecutive_failure_threshold == 0);
    CHECK(with("consecutive_failure_threshold = 0").consecutive_failure_threshold == 0);
    CHECK(with("failure_rate_threshold = 'off'").failure_rate_threshold == 0);
    CHECK(with("failure_rate_threshold = 0").failure_rate_threshold == 0);
    const auto set = good(R"([breakers.defaults]
        slow_call_duration_threshold = "1s"
        hung_call_threshold = "20s"
        [breakers.x]
        slow_call_duration_threshold = "off"
        hung_call_threshold = "off")");
    CHECK(set.resolve("other").slow_call_duration_threshold == 1s);
    CHECK(set.resolve("other").hung_call_threshold == 20s);
    CHECK(set.resolve("x").slow_call_duration_threshold == std::nullopt);
    CHECK(set.resolve("x").hung_call_threshold == std::nullopt);
}

TEST_CASE("R62: the other names of fields mean the fields of the contract") {
    CHECK(with("failure_threshold = 7").consecutive_failure_threshold == 7);
    CHECK(with("failure_threshold = 7").failure_rate_threshold == 0.5);
    CHECK(with("failure_threshold = 0.3").failure_rate_threshold == 0.3);
    CHECK(with("failure_threshold = 0.3").consecutive_failure_threshold == 5);
    CHECK(with("failure_threshold = 1.0").failure_rate_threshold == 1.0);
    CHECK(with("minimum_request_threshold = 3").minimum_requests == 3);
    CHECK(with("failure_window_seconds = 90").window == Window{TimeWindow{90s, 10}});
    CHECK(with("window_duration = '90s'").window == Window{TimeWindow{90s, 10}});
    CHECK(with("window_duration_secs = 90").window == Window{TimeWindow{90s, 10}});
    CHECK(with("sample_size = 40").window == Window{CountWindow{40}});
    CHECK(with("recovery_timeout_seconds = 12").open_timeout == 12s);
    CHECK(with("recovery_timeout_seconds = 1.5").open_timeout == 1500ms);
    CHECK(with("timeout_duration = '12s'").open_timeout == 12s);
    CHECK(with("timeout_duration_secs = 12").open_timeout == 12s);
    CHECK(with("open_timeout_ms = 12500").open_timeout == 12500ms);
    CHECK(with("enable_exponential_backoff = true").backoff.kind == Backoff::Kind::exponential);
    CHECK(with("enable_exponential_backoff = false").backoff.kind == Backoff::Kind::fixed);
    CHECK(with("backoff_multiplier = 3").backoff.multiplier == 3);
    CHECK(with("max_backoff_duration = '2m'").backoff.max_open_timeout == 2min);
    CHECK(with("half_open_max_requests = 2").half_open_max_concurrent == 2);
    CHECK(with("half_open_success_threshold = 2").success_threshold == 2);
    CHECK(with("half_open_strict_mode = true").half_open_rate == std::nullopt);
    CHECK(with("half_open_strict_mode = false").half_open_rate == HalfOpenRate{});
    CHECK(with("half_open_minimum_probes = 8").half_open_rate == HalfOpenRate{8, 0.6});
    CHECK(with("half_open_success_rate = 0.8").half_open_rate == HalfOpenRate{5, 0.8});
    CHECK(with("operation_timeout_seconds = 4").operation_timeout == 4s);
    CHECK(with("request_timeout = '4s'").operation_timeout == 4s);
}

TEST_CASE("R62: strict mode makes the rate of probes idle, wherever it stands") {
    CHECK(with("half_open_strict_mode = true\nhalf_open_minimum_probes = 8\nhalf_open_success_rate = 0.8")
              .half_open_rate == std::nullopt);
    CHECK(with("half_open_success_rate = 0.8\nhalf_open_minimum_probes = 8\nhalf_open_strict_mode = false")
              .half_open_rate == HalfOpenRate{8, 0.8});
}

TEST_CASE("R62: a proxy's own table is read as it stands") {
    const auto config = with(R"(
        failure_threshold = 5
        failure_rate_threshold = 0.5
        window_duration_secs = 60
        timeout_duration_secs = 30
        success_threshold = 3
        minimum_requests = 10
    )");
    CHECK(config == CircuitBreakerConfig{});
}

TEST_CASE("R62: a preset can be named for one breaker or for all") {
    for (const auto name : preset_names()) {
        CAPTURE(name);
        const auto text = "preset = \"" + std::string{name} + "\"";
        CHECK(with(text) == *preset(name));
        CHECK(good("[breakers.defaults]\n" + text).resolve("any") == *preset(name));
    }
    CHECK(with("preset = 'database'\nopen_timeout = '5s'").open_timeout == 5s);
    CHECK(with("preset = 'database'\nopen_timeout = '5s'").success_threshold == preset("database")->success_threshold);
}

TEST_CASE("R62: the nearest word wins: entry, inherited entry, defaults, caller or preset") {
    const auto set = good(R"(
        [breakers.defaults]
        success_threshold = 9
        minimum_requests = 9
        half_open_max_concurrent = 9
        [breakers.parent]
        minimum_requests = 8
        half_open_max_concurrent = 8
        [breakers.child]
        inherits = "parent"
        half_open_max_concurrent = 7
        [breakers.own-preset]
        preset = "cache"
        [breakers.heir-of-preset]
        inherits = "own-preset"
    )");
    const auto child = set.resolve("child");
    CHECK(child.success_threshold == 9);
    CHECK(child.minimum_requests == 8);
    CHECK(child.half_open_max_concurrent == 7);
    CHECK(child.open_timeout == 30s);

    const auto asked = set.resolve("child", *preset("llm_service"));
    CHECK(asked.open_timeout == 120s);
    CHECK(asked.minimum_requests == 8);
    CHECK(set.resolve("unnamed", *preset("llm_service")).success_threshold == 9);

    // What the file says about this breaker counts for more than what its caller asks for.
    CHECK(set.resolve("own-preset", *preset("llm_service")).open_timeout == preset("cache")->open_timeout);
    CHECK(set.resolve("heir-of-preset", *preset("llm_service")).open_timeout == preset("cache")->open_timeout);
}

TEST_CASE("R62: the caller's configuration counts for more than the defaults' preset") {
    const auto set = good("[breakers.defaults]\npreset = 'cache'");
    CHECK(set.resolve("x").open_timeout == preset("cache")->open_timeout);
    CHECK(set.resolve("x", CircuitBreakerConfig{}) == CircuitBreakerConfig{});
}

TEST_CASE("R62: criticality is inherited like a field") {
    const auto set = good(R"(
        [breakers.a]
        criticality = "critical"
        [breakers.b]
        inherits = "a"
        [breakers.c]
        inherits = "a"
        criticality = "optional"
        [breakers.d]
    )");
    CHECK(set.criticality("a") == Criticality::critical);
    CHECK(set.criticality("b") == Criticality::critical);
    CHECK(set.criticality("c") == Criticality::optional);
    CHECK(set.criticality("d") == std::nullopt);
    CHECK(set.criticality("unnamed") == std::nullopt);
    CHECK(good("[breakers.defaults]\ncriticality = 'degraded'").criticality("unnamed") == Criticality::degraded);
}

TEST_CASE("R62: other tables are left alone, and no table at all is no mistake") {
    CHECK(good("").names().empty());
    CHECK(good("[server]\nlisten = 'x'").names().empty());
    CHECK(good("[server]\nopen_timeout = 3\n[breakers.'a.b']\n[breakers.c]\n[breakers.defaults]").names() ==
          std::vector<std::string>{"a.b", "c"});
    CHECK(BreakerSet{}.resolve("x") == CircuitBreakerConfig{});
}

TEST_CASE("R62: a text that is not TOML is rejected with its line") {
    const auto mistakes = bad("[breakers.x]\nopen_timeout = \"5s\"\nopen_timeout =\n");
    REQUIRE(mistakes.size() == 1);
    CHECK(mistakes[0].line == 3);
    CHECK(mistakes[0].field.empty());
    CHECK(has(describe(mistakes[0], "file.toml"), "file.toml:3: is not TOML: "));
    CHECK(bad("x = \"\xff\"").size() == 1);
    CHECK(bad(std::string(100'000, '[')).size() == 1);
}

TEST_CASE("R62: an unknown key is a mistake, with a suggestion where one is close") {
    auto mistake = mistake_in("open_timout = '5s'");
    CHECK(mistake.line == 2);
    CHECK(mistake.field == "breakers.x.open_timout");
    CHECK(mistake.message == "is not a known key; did you mean 'open_timeout'?");
    CHECK(mistake_in("zebra = 1").message == "is not a known key");
    mistake = mistake_in("backoff = { kind = 'linear', jiter = 0.1 }");
    CHECK(mistake.field == "breakers.x.backoff.jiter");
    CHECK(mistake.message == "is not a known key; did you mean 'jitter'?");
    CHECK(mistake_in("half_open_mode = { min_probes = 3 }").field == "breakers.x.half_open_mode.min_probes");
    CHECK(mistake_in("window = { duration = '60s', slice = 3 }").field == "breakers.x.window.slice");
    CHECK(mistake_in("preset = 'databse'").message.ends_with("did you mean 'database'?"));
    CHECK(mistake_in("'open timeout' = 3").field == "breakers.x.\"open timeout\"");
}

TEST_CASE("R62: a value of the wrong kind is a mistake that says what would be right") {
    struct Case {
        const char* field;
        const char* value;
        const char* wanted;
    };
    for (const auto& [field, value, wanted] : {
             Case{"enabled", "1", "is 1, must be true or false"},
             Case{"enabled", "'yes'", "is \"yes\", must be true or false"},
             Case{"consecutive_failure_threshold", "-1", "is -1, must be a whole number from 0 to 4294967295"},
             Case{"consecutive_failure_threshold", "4294967296", "is 4294967296, must be a whole number"},
             Case{"consecutive_failure_threshold", "5.0", "is 5, must be a whole number"},
             Case{"consecutive_failure_threshold", "'none'", "is \"none\", must be a whole number"},
             Case{"minimum_requests", "0", "is 0, must be a whole number from 1"},
             Case{"success_threshold", "true", "is true, must be a whole number from 1"},
             Case{"half_open_max_concurrent", "[1]", "is an array, must be a whole number from 1"},
             Case{"failure_rate_threshold", "'half'", "is \"half\", must be a number"},
             Case{"failure_rate_threshold", "nan", "is nan, must be a number"},
             Case{"failure_rate_threshold", "inf", "is inf, must be a number"},
             Case{"slow_call_rate_threshold", "true", "is true, must be a number"},
             Case{"open_timeout", "30", "is 30, must be a duration such as \"30s\""},
             Case{"open_timeout", "'30'", "is \"30\", must be a duration such as \"30s\""},
             Case{"open_timeout", "'-30s'", "is \"-30s\", must be a duration"},
             Case{"open_timeout", "'off'", "is \"off\", must be a duration"},
             Case{"open_timeout", "12:30:00", "is a date or time, must be a duration"},
             Case{"operation_timeout", "false",
                  "is false, must be a duration such as \"30s\" or \"250ms\", above 0 and at most 3650d, or \"off\""},
             Case{"open_timeout_ms", "'5s'", "is \"5s\", must be a number of milliseconds"},
             Case{"open_timeout_ms", "1e300", "must be a number of milliseconds"},
             Case{"recovery_timeout_seconds", "9223372036854775807", "must be a number of seconds"},
             Case{"recovery_timeout_seconds", "-1", "is -1, must be a number of seconds"},
             Case{"operation_timeout_seconds", "nan", "is nan, must be a number of seconds"},
             Case{"window", "60", "is 60, must be a duration such as \"60s\", { duration = \"60s\", slices = 10 } or"},
             Case{"window", "{}", "is a table, must be a duration"},
             Case{"window", "{ count = 5, slices = 3 }", "must be a duration such as \"60s\", {"},
             Case{"backoff", "'quadratic'", "is \"quadratic\", must be \"fixed\", \"linear\" or \"exponential\""},
             Case{"backoff", "2", "is 2, must be \"fixed\""},
             Case{"half_open_mode", "'lax'", "is \"lax\", must be \"strict\" or { minimum_probes = 5,"},
             Case{"preset", "3", "is 3, must be one of the presets http_api, llm_service, database"},
             Case{"inherits", "3", "is 3, must be the name of another entry"},
             Case{"criticality", "'high'", "is \"high\", must be \"critical\", \"degraded\" or \"optional\""},
             Case{"failure_threshold", "5.5", "is 5.5, must be a whole number (failures in a row) or a fraction"},
             Case{"failure_threshold", "-0.5", "is -0.5, must be a whole number (failures in a row) or a fraction"},
             Case{"failure_threshold", "nan", "is nan, must be a whole number (failures in a row) or a fraction"},
         }) {
        const auto text = std::string{field} + " = " + value;
        CAPTURE(text);
        const auto mistake = mistake_in(text);
        CHECK(mistake.line == 2);
        CHECK(mistake.field == "breakers.x." + std::string{field});
        CAPTURE(mistake.message, wanted);
        CHECK(has(mistake.message, wanted));
    }
    CHECK(mistake_in("backoff = { kind = 'quadratic' }").field == "breakers.x.backoff.kind");
    CHECK(mistake_in("preset = '" + std::string(5000, 'x') + "'").message.size() < 500);
}

TEST_CASE("R62: a key that is named as in code is a mistake that says how files name it") {
    struct Case {
        const char* key;
        const char* meant;
    };
    for (const auto& [key, meant] : {
             Case{"consecutive_failures", "consecutive_failure_threshold"},
             Case{"failure_rate", "failure_rate_threshold"},
             Case{"slow_calls", "slow_call_duration_threshold"},
             Case{"time_window", "window"},
             Case{"count_window", "window"},
             Case{"linear_backoff", "backoff"},
             Case{"exponential_backoff", "backoff"},
             Case{"max_open_timeout", "backoff.max_open_timeout"},
             Case{"jitter", "backoff.jitter"},
             Case{"half_open_rate", "half_open_mode"},
         }) {
        const auto mistake = mistake_in(std::string{key} + " = 3");
        CHECK(mistake.line == 2);
        CHECK(mistake.field == "breakers.x." + std::string{key});
        CHECK(mistake.message == "is not a known key; did you mean '" + std::string{meant} + "'?");
    }
    const auto mistake = mistake_in("window = { size = 50 }");
    CHECK(mistake.field == "breakers.x.window.size");
    CHECK(mistake.message == "is not a known key; did you mean 'count'?");
    // What must not be written is not what a misspelt key is taken for.
    CHECK(mistake_in("jiter = 0.1").message == "is not a known key");
    CHECK(with("backoff.jitter = 0.1").backoff.jitter == 0.1);
}

TEST_CASE("R62: a number on either side of its range is told the one range") {
    struct Case {
        const char* key;
        const char* too_large;
        const char* most;
    };
    for (const auto& [key, too_large, most] : {
             Case{"half_open_max_concurrent", "1025", "1024"},
             Case{"half_open_max_requests", "1025", "1024"},
             Case{"window.slices", "61", "60"},
             Case{"window.count", "65537", "65536"},
             Case{"sample_size", "65537", "65536"},
             Case{"minimum_requests", "4294967296", "4294967295"},
             Case{"half_open_mode.minimum_probes", "4294967296", "4294967295"},
         }) {
        for (const auto* value : {"-1", "0", too_large, "9223372036854775807"}) {
            const auto mistake = mistake_in(std::string{key} + " = " + value);
            CHECK(mistake.field == "breakers.x." + std::string{key});
            CHECK(mistake.message == std::string{"is "} + value + ", must be a whole number from 1 to " + most);
        }
        CHECK(good("[breakers.x]\n" + std::string{key} + " = 1").names().size() == 1);
    }
}

TEST_CASE("R62: a duration that no field can have is told the range of its field") {
    struct Case {
        const char* key;
        const char* range;
    };
    constexpr auto above_zero = "above 0 and at most 3650d";
    for (const auto& [key, range] : {
             Case{"open_timeout", above_zero},
             Case{"operation_timeout", above_zero},
             Case{"probe_lease", above_zero},
             Case{"backoff.max_open_timeout", above_zero},
             Case{"backoff.increment", "at least 0 and at most 3650d"},
             Case{"window", "at least 1ms and at most 24h"},
             Case{"window.duration", "at least 1ms and at most 24h"},
         }) {
        for (const std::string value : {"-1s", "1000000000h"}) {
            const auto mistake = mistake_in(std::string{key} + " = \"" + value + "\"");
            CAPTURE(key, mistake.message);
            CHECK(has(mistake.message, "is \"" + value + "\", must be a duration such as "));
            CHECK(has(mistake.message, range));
        }
    }
    CHECK(mistake_in("recovery_timeout_seconds = -1").message ==
          "is -1, must be a number of seconds, above 0 and at most 3650d");
    CHECK(mistake_in("failure_window_seconds = 1e300").message ==
          "is 1e+300, must be a number of seconds, at least 1ms and at most 24h");
}

TEST_CASE("R62: a value out of the breaker's range is a mistake at the key that set it") {
    auto mistake = mistake_in("\n\nfailure_rate_threshold = 1.5");
    CHECK(mistake.line == 4);
    CHECK(mistake.field == "breakers.x.failure_rate_threshold");
    CHECK(has(mistake.message, "1.5"));

    mistake = mistake_in("\nrecovery_timeout_seconds = 0");
    CHECK(mistake.line == 3);
    CHECK(mistake.field == "breakers.x.recovery_timeout_seconds");

    struct Case {
        const char* text;
        const char* field;
    };
    for (const auto& [text, field] : {
             Case{"window = { duration = '30d' }", "window.duration"},
             Case{"window = '30d'", "window"},
             Case{"window = { slices = 61 }", "window.slices"},
             Case{"window = { count = 65537 }", "window.count"},
             Case{"sample_size = 65537", "sample_size"},
             Case{"failure_window_seconds = 0", "failure_window_seconds"},
             Case{"backoff = { jitter = 1 }", "backoff.jitter"},
             Case{"backoff = { kind = 'exponential', multiplier = 0.5 }", "backoff.multiplier"},
             Case{"enable_exponential_backoff = true\nbackoff_multiplier = 101", "backoff_multiplier"},
             Case{"enable_exponential_backoff = true\nmax_backoff_duration = '1s'", "max_backoff_duration"},
             Case{"half_open_mode = { success_rate = 1.5 }", "half_open_mode.success_rate"},
             Case{"half_open_success_rate = 0", "half_open_success_rate"},
             Case{"half_open_max_concurrent = 1025", "half_open_max_concurrent"},
             Case{"slow_call_rate_threshold = 0", "slow_call_rate_threshold"},
             Case{"slow_call_duration_threshold = '0s'", "slow_call_duration_threshold"},
             Case{"operation_timeout = '0s'", "operation_timeout"},
             Case{"hung_call_threshold = '0s'", "hung_call_threshold"},
             Case{"probe_lease = '1s'", "probe_lease"},
         }) {
        CAPTURE(text);
        CHECK(mistake_in(text).field == "breakers.x." + std::string{field});
    }
}

TEST_CASE("R62: a value that contradicts a field nobody set is a mistake of the entry") {
    const auto mistake = mistake_in("operation_timeout = '2m'");
    CHECK(mistake.line == 1);
    CHECK(mistake.field == "breakers.x.probe_lease");
}

TEST_CASE("R62: a field under two names is a mistake, even where both agree") {
    struct Case {
        const char* text;
        const char* field;
        const char* first;
    };
    for (const auto& [text, field, first] : {
             Case{"open_timeout = '30s'\nrecovery_timeout_seconds = 30", "recovery_timeout_seconds", "open_timeout"},
             Case{"recovery_timeout_seconds = 30\nopen_timeout = '30s'", "open_timeout", "recovery_timeout_seconds"},
             Case{"open_timeout_ms = 1\ntimeout_duration = '30s'", "timeout_duration", "open_timeout_ms"},
             Case{"failure_threshold = 5\nconsecutive_failure_threshold = 5", "consecutive_failure_threshold",
                  "failure_threshold"},
             Case{"failure_threshold = 0.5\nfailure_rate_threshold = 0.5", "failure_rate_threshold",
                  "failure_threshold"},
             Case{"window = '60s'\nfailure_window_seconds = 60", "failure_window_seconds", "window"},
             Case{"window = { count = 5 }\nsample_size = 5", "sample_size", "window"},
             Case{"window_duration = '60s'\nsample_size = 5", "sample_size", "window_duration"},
             Case{"window = { slices = 3 }\nsample_size = 5", "sample_size", "window"},
             Case{"backoff = 'fixed'\nenable_exponential_backoff = false", "enable_exponential_backoff", "backoff"},
             Case{"backoff = { multiplier = 2 }\nbackoff_multiplier = 2", "backoff_multiplier", "backoff"},
             Case{"half_open_mode = 'strict'\nhalf_open_strict_mode = true", "half_open_strict_mode", "half_open_mode"},
             Case{"half_open_mode = {}\nhalf_open_success_rate = 0.6", "half_open_success_rate", "half_open_mode"},
             Case{"half_open_max_concurrent = 5\nhalf_open_max_requests = 5", "half_open_max_requests",
                  "half_open_max_concurrent"},
             Case{"operation_timeout = '10s'\nrequest_timeout = '10s'", "request_timeout", "operation_timeout"},
             Case{"minimum_requests = 5\nminimum_request_threshold = 5", "minimum_request_threshold",
                  "minimum_requests"},
         }) {
        CAPTURE(text);
        const auto mistake = mistake_in(text);
        CHECK(mistake.line == 3);
        CHECK(mistake.field == "breakers.x." + std::string{field});
        CHECK(mistake.message == "says the same as `" + std::string{first} + "` in line 2; give one of them");
    }
    CHECK(with("failure_threshold = 7\nfailure_rate_threshold = 0.25").failure_rate_threshold == 0.25);
    CHECK(with("window_duration = '30s'\nwindow = { slices = 6 }").window == Window{TimeWindow{30s, 6}});
}

TEST_CASE("R62: inheritance that leads nowhere or in a circle is a mistake") {
    auto mistakes = bad("[breakers.store]\n[breakers.x]\ninherits = 'stor'");
    REQUIRE(mistakes.size() == 1);
    CHECK(describe(mistakes[0], "f") ==
          "f:3: breakers.x.inherits: is \"stor\", must be the name of another entry; did you mean 'store'?");

    mistakes = bad("[breakers.a]\ninherits = 'b'\n[breakers.b]\ninherits = 'c'\n[breakers.c]\ninherits = 'a'");
    REQUIRE(mistakes.size() == 3);
    CHECK(mistakes[0].message == "goes round in a circle: a → b → c → a");
    CHECK(mistakes[2].line == 6);

    mistakes = bad("[breakers.a]\ninherits = 'a'\n[breakers.b]\ninherits = 'a'");
    REQUIRE(mistakes.size() == 1);
    CHECK(mistakes[0].message == "goes round in a circle: a → a");

    mistakes = bad("[breakers.defaults]\ninherits = 'a'\n[breakers.a]");
    REQUIRE(mistakes.size() == 1);
    CHECK(mistakes[0].field == "breakers.defaults.inherits");
}

TEST_CASE("R62: every mistake is named, in the order of the text, and the whole is rejected") {
    const auto mistakes = bad(R"([breakers.good]
open_timeout = "5s"
[breakers.defaults]
minimum_requests = 0
[breakers."a.b"]
opentimeout = 3
failure_rate_threshold = 2
[breakers.heir]
inherits = "a.b"
probe_lease = "soon"
)");
    std::vector<std::string> fields;
    for (const auto& mistake : mistakes) {
        fields.push_back(std::to_string(mistake.line) + " " + mistake.field);
    }
    // The rate is wrong for `heir` too, but it is one mistake.
    CHECK(fields == std::vector<std::string>{"4 breakers.defaults.minimum_requests", "6 breakers.\"a.b\".opentimeout",
                                             "7 breakers.\"a.b\".failure_rate_threshold",
                                             "10 breakers.heir.probe_lease"});
}

TEST_CASE("R62: entries are tables with names that a breaker can have") {
    CHECK(bad("breakers = 3")[0].field == "breakers");
    CHECK(bad("[[breakers]]")[0].field == "breakers");
    const auto mistakes = bad("\n[breakers]\nopen_timeout = '5s'");
    REQUIRE(mistakes.size() == 1);
    CHECK(mistakes[0].line == 3);
    CHECK(mistakes[0].field == "breakers.open_timeout");
    CHECK(bad("[breakers.'']").size() == 1);
    CHECK(bad("[breakers." + std::string(129, 'x') + "]").size() == 1);
    CHECK(good("[breakers." + std::string(128, 'x') + "]").names().size() == 1);
}

TEST_CASE("R62: a table elsewhere in the file can be an entry") {
    const std::string_view text = R"([breakers.defaults]
success_threshold = 9
[breakers.parent]
minimum_requests = 3
[[upstreams]]
name = "models"
[upstreams.circuit_breaker]
inherits = "parent"
recovery_timeout_seconds = 7
[[upstreams]]
name = "plain"
)";
    auto set = good(text);
    REQUIRE(set.add_from_toml(text, "upstreams[0].circuit_breaker", "upstream-models"));
    REQUIRE(set.add_from_toml(text, "upstreams[1].circuit_breaker", "upstream-plain"));
    CHECK(set.names() == std::vector<std::string>{"parent", "upstream-models"});
    const auto config = set.resolve("upstream-models");
    CHECK(config.success_threshold == 9);
    CHECK(config.minimum_requests == 3);
    CHECK(config.open_timeout == 7s);

    SECTION("its mistakes have their place in the file") {
        const std::string wrong = std::string{text} + "[upstreams.circuit_breaker]\nopen_timeout = '0s'\nfoo = 1\n";
        const auto added = set.add_from_toml(wrong, "upstreams[1].circuit_breaker", "upstream-plain");
        REQUIRE_FALSE(added);
        REQUIRE(added.error().size() == 2);
        CHECK(added.error()[0].line == 13);
        CHECK(added.error()[0].field == "upstreams[1].circuit_breaker.open_timeout");
        CHECK(added.error()[1].line == 14);
        CHECK(set.names().size() == 2);
    }
    SECTION("a second entry of a name is a mistake") {
        const auto again = set.add_from_toml(text, "upstreams[0].circuit_breaker", "parent");
        REQUIRE_FALSE(again);
        CHECK(again.error()[0].line == 7);
        CHECK(has(again.error()[0].message, "breakers.parent in line 3"));
    }
    SECTION("what is not a table is a mistake") {
        const auto added = set.add_from_toml(text, "upstreams[0].name", "y");
        REQUIRE_FALSE(added);
        CHECK(added.error()[0].field == "upstreams[0].name");
    }
    SECTION("copies are apart") {
        const auto copy = set;
        REQUIRE(set.add_from_toml("[t]\nsample_size = 4", "t", "late"));
        CHECK(set.names().size() == 3);
        CHECK(copy.names().size() == 2);
    }
}

TEST_CASE("R62: every mistake has one line for people") {
    CHECK(describe({3, "breakers.x.window", "is bad"}, "a.toml") == "a.toml:3: breakers.x.window: is bad");
    CHECK(describe({0, "breakers.x.window", "is bad"}, "a.toml") == "a.toml: breakers.x.window: is bad");
    CHECK(describe({3, "", "is bad"}, "a.toml") == "a.toml:3: is bad");
}

TEST_CASE("R62: the fields of a configuration can be listed") {
    const auto fields = config_fields(*preset("action_executor"));
    const auto value = [&](std::string_view name) {
        const auto found = std::ranges::find(fields, name, [](const auto& field) { return field.first; });
        return found == fields.end() ? std::string{"missing"} : found->second;
    };
    CHECK(value("window") == "the last 100 calls");
    CHECK(value("open_timeout") == "30s");
    CHECK(value("half_open_mode") == "strict");
    CHECK(value("slow_call_duration_threshold") == "off");
}

}  // namespace fusebox::test
