// Refuses destination settings that cannot work.
#pragma once

#include <string>
#include <vector>

#include <fusebox/notifications/destination.hpp>

namespace fusebox::notifications {

/// Throws one `std::invalid_argument` that names every bad field of every destination, after `errors`, each of which
/// ends in "; ".
void require_valid(const std::vector<DestinationSettings>& destinations, std::string errors = {});

}  // namespace fusebox::notifications
