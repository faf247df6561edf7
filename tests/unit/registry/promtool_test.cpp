// What Prometheus' own checker says about a scrape.
#include <sys/wait.h>
#include <cstdio>
#include <cstdlib>

#include <fusebox/registry/prometheus.hpp>

#include "exposer.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

namespace {

struct Verdict {
    int status{};
    std::string complaints;
};

Verdict promtool(const std::string& text) {
    char path[] = "/tmp/fusebox-promtool-XXXXXX";
    const int file = ::mkstemp(path);
    REQUIRE(file >= 0);
    std::FILE* out = ::fdopen(file, "w");
    REQUIRE(std::fwrite(text.data(), 1, text.size(), out) == text.size());
    REQUIRE(std::fclose(out) == 0);
    Verdict verdict;
    const auto command = std::string{"promtool check metrics < "} + path + " 2>&1";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe);
    char buffer[512];
    while (const auto size = std::fread(buffer, 1, sizeof buffer, pipe)) verdict.complaints.append(buffer, size);
    const int status = ::pclose(pipe);
    verdict.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    std::remove(path);
    return verdict;
}

}  // namespace

TEST_CASE("R42: promtool accepts the scrape without a complaint") {
    Registry registry;
    const auto check = [&](const MetricsOptions& options) {
        const auto verdict = promtool(prometheus_text(registry, options));
        CHECK(verdict.complaints == "");
        CHECK(verdict.status == 0);
    };
    check({});
    for (const auto* name : {"store", "say \"hi\"\\\n", "gr\xc3\xbc\xc3\x9f", "\xff\xfe", "other", "last"}) {
        auto& breaker = *registry.get_or_create(name);
        breaker.try_acquire()->success();
        breaker.try_acquire()->failure();
        breaker.trip();
        CHECK_FALSE(breaker.try_acquire());
        breaker.disable();
    }
    check({});
    check({.max_names = 2});
    check({.prefix = "fusebox_"});
}

TEST_CASE("R43: promtool accepts what an Exposer serves") {
    Registry registry;
    for (const auto* name : {"store", "say \"hi\"\\\n", "\xff\xfe"}) registry.get_or_create(name)->trip();
    const auto breakers = std::make_shared<RegistryCollectable>(registry);
    ScrapedExposer exposed;
    exposed.exposer.RegisterCollectable(breakers);
    const auto verdict = promtool(exposed.scrape());
    CHECK(verdict.complaints == "");
    CHECK(verdict.status == 0);
}

TEST_CASE("promtool would complain") {
    Registry registry;
    registry.get_or_create("x");
    auto families = RegistryCollectable{registry}.Collect();
    families[2].name = "app_requests";  // a counter, but no `_total`
    CHECK(promtool(prometheus_text(families)).status != 0);
}

}  // namespace fusebox::test
