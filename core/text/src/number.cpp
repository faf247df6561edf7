#include <fusebox/text/number.hpp>

#include <array>
#include <charconv>

namespace fusebox::text {

std::string number_text(double number) {
    std::array<char, 32> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
    return {buffer.data(), end};
}

}  // namespace fusebox::text
