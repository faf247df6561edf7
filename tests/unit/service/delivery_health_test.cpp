#include "delivery_health.hpp"

#include "support/catch.hpp"

namespace fusebox::test {

using service::delivery_health;

TEST_CASE("health warns of each destination that is told less than it should be") {
    using enum incidents::NotificationState;
    const service::NotificationCounts counts{{"chat", {{dead, 3}, {delivered, 5}}},
                                             {"gone", {{pending, 2}, {delivered, 1}}},
                                             {"mail", {{pending, 9}, {leased, 1}, {delivered, 5}}},
                                             {"pager", {{dead, 1}}},
                                             {"past", {{delivered, 4}}}};
    std::map<std::string, notifications::DestinationStats> stats{{"chat", {}}, {"mail", {}}, {"pager", {}}};
    stats["pager"].disabled = true;
    const auto checks = delivery_health(counts, stats);
    REQUIRE(checks.size() == 3);
    CHECK(checks[0].name == "destination:chat");
    CHECK(checks[0].output == "3 could not be delivered: fusebox notifications --dead --destination chat");
    CHECK(checks[1].name == "destination:gone");
    CHECK(checks[1].output == "2 wait for it, and it is not configured");
    CHECK(checks[2].name == "destination:pager");
    CHECK(checks[2].output ==
          "it has answered 410 and is sent nothing until its settings change or incidentd is started again; "
          "1 could not be delivered: fusebox notifications --dead --destination pager");
    for (const auto& check : checks) CHECK(check.status == middleware::HealthStatus::warn);
}

TEST_CASE("health has nothing to say of destinations that are told all") {
    using enum incidents::NotificationState;
    CHECK(delivery_health({}, {{"mail", {}}}).empty());
    CHECK(delivery_health({{"mail", {{dead, 0}, {pending, 5}}}}, {{"mail", {}}}).empty());
}

}  // namespace fusebox::test
