// How numbers read in configuration files and in messages.
#pragma once

#include <string>

namespace fusebox::text {

/// As short as it is read back as the same number, with a point whatever the locale says: "0.5", "3", "1e-07", "nan".
[[nodiscard]] std::string format_number(double number);

}  // namespace fusebox::text
