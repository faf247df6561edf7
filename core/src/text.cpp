#include "text.hpp"

#include <array>
#include <charconv>

namespace fusebox::detail {

std::string number_text(double number) {
    std::array<char, 32> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
    return {buffer.data(), end};
}

std::string duration_text(Duration duration) {
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

std::string_view cut(std::string_view text, std::size_t bytes) noexcept {
    if (text.size() <= bytes) return text;
    // A byte 10xxxxxx continues a character: step back to where that character began.
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
    return text.substr(0, bytes);
}

}  // namespace fusebox::detail
