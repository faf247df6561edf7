#include <fusebox/text/number.hpp>

#include <array>
#include <charconv>

namespace fusebox::text {

std::string format_number(double number) {
    std::array<char, 32> buffer;  // at most 17 digits, a sign, a point and an exponent
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
    return {buffer.data(), end};
}

}  // namespace fusebox::text
