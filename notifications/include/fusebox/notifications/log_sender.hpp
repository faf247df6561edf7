// Writes notifications to the log: the destination that works with no configuration at all.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::notifications {

/// One line per notification, as `key=value` pairs; text is quoted and control characters are escaped, so that an alert
/// cannot forge a second line. Thread-safe if the sink is.
///
///     notification id=msg_01… type=incident.triggered incident=inc_01… severity=P1 title="disk is full"
class LogSender final : public incidents::NotificationSender {
public:
    using Sink = std::function<void(std::string_view line)>;
    /// Throws `std::invalid_argument` without a name or a sink.
    LogSender(std::string name, Sink sink);

    [[nodiscard]] std::string_view destination() const noexcept override { return name_; }
    std::expected<void, incidents::DeliveryError> send(const incidents::Notification& notification,
                                                       const incidents::RequestContext& context) override;

private:
    std::string name_;
    Sink sink_;
};

}  // namespace fusebox::notifications
