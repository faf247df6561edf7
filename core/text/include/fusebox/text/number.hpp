// How numbers read in the sentences that are written for people.
#pragma once

#include <string>

namespace fusebox::text {

/// "0.5", "1e-07": as short as it can be read back.
[[nodiscard]] std::string number_text(double number);

}  // namespace fusebox::text
