// Durations and numbers in words, without rounding.
#pragma once

#include <string>

#include <fusebox/core/clock.hpp>

namespace fusebox::testkit {

/// By the largest unit that leaves no fraction: "90 s", "1500 ms".
[[nodiscard]] std::string exact_text(Duration duration);
/// The shortest form that reads back as the same number.
[[nodiscard]] std::string exact_text(double number);

}  // namespace fusebox::testkit
