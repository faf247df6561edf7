// Refuses destination settings that cannot work.
#pragma once

#include <vector>

#include <fusebox/notifications/destination.hpp>

namespace fusebox::notifications {

/// Throws one `std::invalid_argument` that names every bad field of every destination.
void require_valid(const std::vector<DestinationSettings>& destinations);

}  // namespace fusebox::notifications
