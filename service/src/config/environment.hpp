// Environment variables, as a function, so that tests bring their own.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace fusebox::service {

/// The value of an environment variable; none when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
[[nodiscard]] Environment process_environment();

}  // namespace fusebox::service
