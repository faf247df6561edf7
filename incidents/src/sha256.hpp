// SHA-256 of length-prefixed texts, so that no two lists of texts collide by concatenation.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace fusebox::incidents {

using Sha256 = std::array<unsigned char, 32>;

/// A list of texts, each as "LENGTH:BYTES".
class TextList {
public:
    void append(std::string_view text) { encoded_.append(std::to_string(text.size())).append(":").append(text); }
    [[nodiscard]] std::string_view encoded() const noexcept { return encoded_; }

private:
    std::string encoded_;
};

[[nodiscard]] Sha256 sha256(std::string_view bytes);

}  // namespace fusebox::incidents
