// Reads where notifications go: [[destinations]], [[routes]] and default_route.
#pragma once

#include "config/config.hpp"
#include "config/table_reader.hpp"

namespace fusebox::service {

/// Reads destinations and routes into `config`, notes a mistake for each name that no destination has, and adds the
/// built-in log destination where a route or a fallback names it.
void read_delivery_paths(TableReader& root, ReadContext& context, ServiceConfig& config);

}  // namespace fusebox::service
