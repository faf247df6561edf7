#include <fusebox/text/printable.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include <fusebox/text/utf8.hpp>

namespace fusebox::text {
namespace {

/// Of a sequence for which `code_point_length` gave its length.
std::uint32_t code_point_of(std::string_view sequence) noexcept {
    constexpr std::array<unsigned, 5> bits_of_lead{0, 0x7f, 0x1f, 0x0f, 0x07};
    std::uint32_t result = static_cast<unsigned char>(sequence.front()) & bits_of_lead[sequence.size()];
    for (const char byte : sequence.substr(1)) result = result << 6U | (static_cast<unsigned char>(byte) & 0x3fU);
    return result;
}

bool needs_escape(std::uint32_t code_point) noexcept {
    const auto within = [code_point](std::uint32_t first, std::uint32_t last) {
        return code_point >= first && code_point <= last;
    };
    return within(0x00, 0x1f) || within(0x7f, 0x9f) ||        // C0, DEL, C1
           within(0x2028, 0x2029) ||                          // separators of lines and paragraphs
           code_point == 0x061c || within(0x200e, 0x200f) ||  // bidirectional marks
           within(0x202a, 0x202e) || within(0x2066, 0x2069);  // embeddings, overrides, isolates
}

void append_hex(std::string& text, std::uint32_t number, unsigned digits) {
    while (digits-- > 0) text += "0123456789abcdef"[number >> 4U * digits & 0xfU];
}

void append_escape(std::string& text, std::uint32_t code_point) {
    switch (code_point) {
        case '\n':
            text += "\\n";
            break;
        case '\r':
            text += "\\r";
            break;
        case '\t':
            text += "\\t";
            break;
        default:
            text += "\\u";
            append_hex(text, code_point, 4);
    }
}

}  // namespace

std::string printable(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        const auto length = code_point_length(text);
        if (length == 0) {
            result += "\\x";
            append_hex(result, static_cast<unsigned char>(text.front()), 2);
            text.remove_prefix(1);
            continue;
        }
        const auto sequence = text.substr(0, length);
        if (const auto code_point = code_point_of(sequence); needs_escape(code_point)) {
            append_escape(result, code_point);
        } else {
            result += sequence;
        }
        text.remove_prefix(length);
    }
    return result;
}

}  // namespace fusebox::text
