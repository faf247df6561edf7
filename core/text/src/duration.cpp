#include <fusebox/text/duration.hpp>

#include <array>
#include <charconv>
#include <string_view>

namespace fusebox::text {

std::string duration_text(std::chrono::nanoseconds duration) {
    struct Unit {
        double nanoseconds;
        std::string_view name;
    };
    static constexpr std::array<Unit, 6> units{
        {{3.6e12, " h"}, {6e10, " min"}, {1e9, " s"}, {1e6, " ms"}, {1e3, " µs"}, {1.0, " ns"}}};
    const auto count = static_cast<double>(duration.count());
    const auto magnitude = count < 0 ? -count : count;
    auto unit = units[2];
    if (magnitude != 0) {
        for (const auto& candidate : units) {
            unit = candidate;
            if (magnitude >= candidate.nanoseconds) break;
        }
    }
    std::array<char, 32> buffer;
    // Below 1000 there are three significant digits; hours above that are written out.
    const auto value = count / unit.nanoseconds;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general,
                                   magnitude / unit.nanoseconds >= 1000 ? 6 : 3)
                         .ptr;
    return std::string{buffer.data(), end}.append(unit.name);
}

}  // namespace fusebox::text
