// Content codings: bodies that come compressed, and answers that go out compressed.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fusebox::middleware {

/// Decompresses one body that comes in pieces. httplib's decompressors do not say whether their stream has ended, so
/// that half a body would pass for a whole one.
class ContentDecoder {
public:
    enum class State {
        more,       ///< the stream has not ended
        complete,   ///< the stream has ended, and so has what was given
        malformed,  ///< not this coding, or something stands behind its end
        too_large,
    };

    /// What a decoder holds besides the decoded text: tables that the coded text chooses, and a window onto the text.
    static constexpr std::size_t most_bytes = 512U << 10U;

    ContentDecoder() = default;
    ContentDecoder(const ContentDecoder&) = delete;
    ContentDecoder& operator=(const ContentDecoder&) = delete;
    virtual ~ContentDecoder() = default;

    /// Appends to `decoded`, which never grows beyond `most` bytes. After `malformed` or `too_large`: no more calls.
    virtual State decode(std::string_view coded, std::string& decoded, std::size_t most) = 0;
};

/// For gzip, deflate and br; null for every other name. Throws `std::bad_alloc`.
[[nodiscard]] std::unique_ptr<ContentDecoder> make_content_decoder(std::string_view coding);

/// True if an `Accept-Encoding` of this value takes gzip.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding) noexcept;

/// `text` as gzip, quickly rather than small. None if zlib fails.
[[nodiscard]] std::optional<std::string> to_gzip(std::string_view text);

}  // namespace fusebox::middleware
