// What a reload changes, by name.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace fusebox::service {

/// The fields ("incidents.flap_window"), destinations ("destinations.ops added", "… removed", "… changed"), routes
/// ("routes") and breakers ("breakers.store") in which two configurations differ. Names alone: no value, so no secret.
[[nodiscard]] std::vector<std::string> changed_names(const ServiceConfig& before, const ServiceConfig& after);

}  // namespace fusebox::service
