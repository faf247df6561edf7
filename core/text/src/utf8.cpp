#include <fusebox/text/utf8.hpp>

namespace fusebox::text {

std::string_view cut(std::string_view text, std::size_t bytes) noexcept {
    if (text.size() <= bytes) return text;
    // A byte 10xxxxxx continues a character: step back to where that character began.
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
    return text.substr(0, bytes);
}

}  // namespace fusebox::text
