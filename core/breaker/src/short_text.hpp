// Text of bounded length that is stored in the object itself.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <fusebox/text/utf8.hpp>

namespace fusebox::detail {

/// The first `Bytes` bytes of a text, or fewer so that no code point is cut. Copying takes no memory.
template <std::size_t Bytes>
class ShortText {
public:
    ShortText() = default;
    explicit ShortText(std::string_view text) noexcept { assign(text); }
    void assign(std::string_view text) noexcept {
        text = text::cut(text, Bytes);
        std::ranges::copy(text, bytes_.begin());
        size_ = static_cast<std::uint8_t>(text.size());
    }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    static_assert(Bytes <= 255);
    std::array<char, Bytes> bytes_{};
    std::uint8_t size_{};
};

}  // namespace fusebox::detail
