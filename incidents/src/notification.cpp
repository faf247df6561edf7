#include <fusebox/incidents/notification.hpp>

#include <utility>

namespace fusebox::incidents {

std::string_view to_string(NotificationState state) noexcept {
    switch (state) {
        case NotificationState::pending:
            return "pending";
        case NotificationState::leased:
            return "leased";
        case NotificationState::delivered:
            return "delivered";
        case NotificationState::dead:
            return "dead";
    }
    std::unreachable();
}

std::optional<NotificationState> notification_state_from_string(std::string_view text) noexcept {
    using enum NotificationState;
    for (const auto state : {pending, leased, delivered, dead}) {
        if (text == to_string(state)) return state;
    }
    return std::nullopt;
}

std::optional<std::string_view> notification_kind(ChangeKind change) noexcept {
    switch (change) {
        case ChangeKind::created:
            return "incident.triggered";
        case ChangeKind::updated:
            return "incident.updated";
        case ChangeKind::acknowledged:
            return "incident.acknowledged";
        case ChangeKind::unacknowledged:
            return "incident.unacknowledged";
        case ChangeKind::resolved:
            return "incident.resolved";
        case ChangeKind::reopened:
            return "incident.reopened";
        case ChangeKind::none:
        case ChangeKind::repeated:
        case ChangeKind::noted:
        case ChangeKind::state_changed:
            return std::nullopt;
    }
    std::unreachable();
}

std::string_view to_string(NextMove move) noexcept {
    switch (move) {
        case NextMove::retry:
            return "retry";
        case NextMove::retry_after:
            return "retry_after";
        case NextMove::retry_briefly:
            return "retry_briefly";
        case NextMove::give_up:
            return "give_up";
        case NextMove::reconfigure:
            return "reconfigure";
        case NextMove::defer:
            return "defer";
    }
    std::unreachable();
}

}  // namespace fusebox::incidents
