#include "exact_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace fusebox::testkit {

std::string exact_text(Duration duration) {
    struct Unit {
        std::int64_t nanoseconds;
        std::string_view name;
    };
    static constexpr std::array<Unit, 5> units{
        {{3'600'000'000'000, " h"}, {1'000'000'000, " s"}, {1'000'000, " ms"}, {1'000, " µs"}, {1, " ns"}}};
    const auto count = duration.count();
    if (count == 0) return "0 s";
    const auto* const unit = std::ranges::find_if(units, [&](const Unit& u) { return count % u.nanoseconds == 0; });
    return std::to_string(count / unit->nanoseconds).append(unit->name);
}

std::string exact_text(double number) {
    std::array<char, 32> buffer;
    return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr};
}

}  // namespace fusebox::testkit
