#include "lookup/name_table.hpp"

#include "support/catch.hpp"

#include <map>
#include <memory>
#include <random>
#include <string>

#include <fusebox/core/circuit_breaker.hpp>

namespace fusebox::test {
namespace {

struct Number {
    int value{};
};

TEST_CASE("R61: a table finds every name that is in it and no other, whatever was put in and taken out before") {
    detail::NameTable<Number> table;
    std::map<std::string, std::shared_ptr<CircuitBreaker>> expected;
    std::mt19937 random{1};
    constexpr int names = 40;  // some 40 in 64 slots: long runs, and gaps in the middle of them
    std::size_t taken_out = 0;
    for (int step = 0; step < 4'000; ++step) {
        const auto number = static_cast<int>(random() % names);
        const auto name = "breaker-" + std::to_string(number);
        if (const auto found = expected.find(name); found == expected.end()) {
            const auto breaker = std::make_shared<CircuitBreaker>(name);
            table.insert(breaker->name(), breaker, {number});
            expected.emplace(name, breaker);
        } else {
            REQUIRE(table.extract(table.find(name)) == found->second);
            expected.erase(found);
            ++taken_out;
        }
        REQUIRE(table.size() == expected.size());
        for (int other = 0; other < names; ++other) {
            const auto at = table.find("breaker-" + std::to_string(other));
            const auto found = expected.find("breaker-" + std::to_string(other));
            REQUIRE((at == decltype(table)::nowhere) == (found == expected.end()));
            if (found == expected.end()) continue;
            REQUIRE(table.breaker(at) == found->second);
            REQUIRE(table.name(at) == found->first);
            REQUIRE(table.record(at).value == other);
        }
        std::size_t visited = 0;
        table.for_each([&](std::size_t) { ++visited; });
        REQUIRE(visited == expected.size());
    }
    CHECK(taken_out > 1'000);
}

}  // namespace
}  // namespace fusebox::test
