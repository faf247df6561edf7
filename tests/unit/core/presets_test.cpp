#include <fusebox/core/presets.hpp>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("§3: the presets carry the numbers of their sources") {
    struct Row {
        std::string_view name;
        std::uint32_t failures, successes;
        Duration open_timeout;
        std::uint32_t probes;
        Duration operation_timeout;
    };
    for (const auto& row : {Row{"http_api", 5, 2, 30s, 3, 10s}, Row{"llm_service", 3, 2, 120s, 2, 10s},
                            Row{"database", 10, 3, 10s, 5, 10s}, Row{"notifications", 10, 2, 60s, 3, 10s},
                            Row{"cache", 8, 3, 20s, 4, 10s}, Row{"azure_service_bus", 5, 3, 30s, 3, 5s},
                            Row{"azure_blob_storage", 5, 2, 30s, 5, 10s}, Row{"azure_key_vault", 3, 2, 60s, 2, 5s},
                            Row{"reverse_proxy", 5, 3, 30s, 5, 10s}, Row{"action_executor", 0, 3, 30s, 5, 10s},
                            Row{"standard", 5, 3, 30s, 5, 10s}}) {
        INFO(row.name);
        const auto config = preset(row.name);
        REQUIRE(config);
        CHECK(config->consecutive_failure_threshold == row.failures);
        CHECK(config->success_threshold == row.successes);
        CHECK(config->open_timeout == row.open_timeout);
        CHECK(config->half_open_max_concurrent == row.probes);
        CHECK(config->operation_timeout == row.operation_timeout);
    }
    CHECK(preset("action_executor")->window == Window{CountWindow{100}});
    CHECK(preset("reverse_proxy")->window == Window{TimeWindow{.duration = 60s}});
    CHECK(preset("standard") == CircuitBreakerConfig{});
}

TEST_CASE("§3: every preset has a name, is valid, and no other name is a preset") {
    CHECK(preset_names().size() == 13);
    for (const auto name : preset_names()) {
        INFO(name);
        REQUIRE(preset(name));
        CHECK(validate(*preset(name)).empty());
    }
    CHECK_FALSE(preset("HTTP_API"));
    CHECK_FALSE(preset(""));
}

TEST_CASE("§3: aggressive trips earlier and returns later than standard, lenient the other way round") {
    const auto aggressive = *preset("aggressive");
    const auto standard = *preset("standard");
    const auto lenient = *preset("lenient");
    CHECK(aggressive.consecutive_failure_threshold < standard.consecutive_failure_threshold);
    CHECK(standard.consecutive_failure_threshold < lenient.consecutive_failure_threshold);
    CHECK(aggressive.failure_rate_threshold < standard.failure_rate_threshold);
    CHECK(standard.failure_rate_threshold < lenient.failure_rate_threshold);
    CHECK(aggressive.open_timeout > standard.open_timeout);
    CHECK(standard.open_timeout > lenient.open_timeout);
    CHECK(aggressive.success_threshold > standard.success_threshold);
    CHECK(standard.success_threshold > lenient.success_threshold);
}

}  // namespace
}  // namespace fusebox::test
