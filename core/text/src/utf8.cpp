#include <fusebox/text/utf8.hpp>

namespace fusebox::text {

std::size_t code_point_length(std::string_view text) noexcept {
    if (text.empty()) return 0;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto lead = byte(0);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    bool good = length != 0 && text.size() >= length;
    for (std::size_t i = 1; good && i < length; ++i) good = (byte(i) & 0xc0) == 0x80;
    // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
    if (good && lead == 0xe0) good = byte(1) >= 0xa0;
    if (good && lead == 0xed) good = byte(1) < 0xa0;
    if (good && lead == 0xf0) good = byte(1) >= 0x90;
    if (good && lead == 0xf4) good = byte(1) < 0x90;
    return good ? length : 0;
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto length = code_point_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string_view cut(std::string_view text, std::size_t bytes) noexcept {
    if (text.size() <= bytes) return text;
    // A byte 10xxxxxx continues a code point: step back to where that code point began.
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80U) --bytes;
    return text.substr(0, bytes);
}

}  // namespace fusebox::text
