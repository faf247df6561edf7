#include <fusebox/incidents/notification.hpp>
#include <fusebox/incidents/ports.hpp>

#include <set>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace incidents;

TEST_CASE("each change that can notify has its kind, and the others have none") {
    CHECK(notification_kind(ChangeKind::created) == "incident.triggered");
    CHECK(notification_kind(ChangeKind::acknowledged) == "incident.acknowledged");
    CHECK(notification_kind(ChangeKind::resolved) == "incident.resolved");
    CHECK(notification_kind(ChangeKind::reopened) == "incident.reopened");
    CHECK(notification_kind(ChangeKind::updated) == "incident.updated");
    CHECK(notification_kind(ChangeKind::unacknowledged) == "incident.unacknowledged");
    CHECK_FALSE(notification_kind(ChangeKind::none));
    CHECK_FALSE(notification_kind(ChangeKind::repeated));
    CHECK_FALSE(notification_kind(ChangeKind::noted));
    CHECK_FALSE(notification_kind(ChangeKind::state_changed));
}

TEST_CASE("states of notifications are read as they are written") {
    using enum NotificationState;
    for (const auto state : {pending, leased, delivered, dead}) {
        CHECK(notification_state_from_string(to_string(state)) == state);
    }
    CHECK(to_string(dead) == "dead");
    for (const char* text : {"", "Pending", "sent", "dead "}) CHECK_FALSE(notification_state_from_string(text));
}

TEST_CASE("next moves and store errors have distinct names") {
    using Kind = StoreError::Kind;
    std::set<std::string_view> moves;
    for (const auto move : {NextMove::retry, NextMove::retry_after, NextMove::retry_briefly, NextMove::give_up,
                            NextMove::reconfigure, NextMove::defer}) {
        moves.insert(to_string(move));
    }
    CHECK(moves ==
          std::set<std::string_view>{"retry", "retry_after", "retry_briefly", "give_up", "reconfigure", "defer"});
    std::set<std::string_view> kinds;
    for (const auto kind : {Kind::unavailable, Kind::timeout, Kind::conflict, Kind::not_found, Kind::invalid,
                            Kind::corrupt, Kind::rejected}) {
        kinds.insert(to_string(kind));
    }
    CHECK(kinds == std::set<std::string_view>{"unavailable", "timeout", "conflict", "not_found", "invalid", "corrupt",
                                              "rejected"});
}

}  // namespace fusebox::test
