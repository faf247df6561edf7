#include <fusebox/notifications/log_sender.hpp>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/incident_samples.hpp"

namespace fusebox::test {

using notifications::LogSender;

namespace {

std::string line_of(const fusebox::incidents::Notification& notification) {
    std::vector<std::string> lines;
    LogSender sender{"log", [&](std::string_view line) { lines.emplace_back(line); }};
    REQUIRE(sender.send(notification, {}));
    REQUIRE(lines.size() == 1);
    return lines.front();
}

}  // namespace

TEST_CASE("a notification becomes one line with ids, type, severity and title") {
    CHECK(line_of(sample_notification()) ==
          "notification id=msg_1 type=incident.triggered incident=inc_1 severity=P1 "
          R"(title="The model server answers slowly")");
}

TEST_CASE("an alert's text cannot forge a second line or another field") {
    auto incident = sample_incident();
    incident.title = "a\" severity=P4\nnotification id=msg_2";
    auto notification = sample_notification();
    notification.draft = sample_draft("msg_1", incident);
    CHECK(line_of(notification).ends_with(R"(title="a\" severity=P4\nnotification id=msg_2")"));
}

TEST_CASE("a payload that cannot be read still leaves its line") {
    auto notification = sample_notification();
    notification.draft.payload = "{";
    CHECK(line_of(notification).ends_with("severity=P1 title=\"\""));
}

TEST_CASE("a log destination needs a name and a sink") {
    CHECK_THROWS_AS((LogSender{"", [](std::string_view) {}}), std::invalid_argument);
    CHECK_THROWS_AS((LogSender{"log", {}}), std::invalid_argument);
}

}  // namespace fusebox::test
