#include "destination_check.hpp"

#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fusebox::notifications {

namespace {
constexpr std::size_t most_in_flight = 64;
}

void require_valid(const std::vector<DestinationSettings>& destinations, std::string errors) {
    std::set<std::string_view> names;
    for (const DestinationSettings& settings : destinations) names.insert(settings.name);
    if (names.size() != destinations.size()) errors += "destination names must be unique; ";
    for (const DestinationSettings& settings : destinations) {
        const auto require = [&](bool good, std::string_view message) {
            if (!good) errors.append("destination '" + settings.name + "': ").append(message).append("; ");
        };
        require(!settings.name.empty(), "name: must not be empty");
        require(settings.sender != nullptr, "sender: must be set");
        require(!settings.sender || settings.sender->destination() == settings.name,
                "sender: is made for a destination of another name");
        require(settings.max_in_flight >= 1 && settings.max_in_flight <= most_in_flight,
                "max_in_flight: must be 1 to 64");
        require(settings.rate_limit.per > Duration::zero(), "rate_limit: its period must be more than 0");
        require(settings.rate_limit.permits <= 1'000'000, "rate_limit: must be at most 1000000 permits");
        require(settings.fallback.empty() || names.contains(settings.fallback),
                "fallback: there is no such destination");
        require(settings.fallback.empty() || settings.fallback != settings.name,
                "fallback: must be another destination");
        require(settings.fallback_after >= Duration::zero(), "fallback_after: must not be negative");
        require(settings.send_timeout > Duration::zero(), "send_timeout: must be more than 0");
        require(settings.retry.base > Duration::zero(), "retry.base: must be more than 0");
        require(settings.retry.factor >= 1 && settings.retry.factor <= 10, "retry.factor: must be 1 to 10");
        require(settings.retry.cap >= settings.retry.base, "retry.cap: must be at least retry.base");
        require(settings.retry.max_age > Duration::zero(), "retry.max_age: must be more than 0");
    }
    if (!errors.empty()) throw std::invalid_argument(errors.substr(0, errors.size() - 2));
}

}  // namespace fusebox::notifications
