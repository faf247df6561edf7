#include "content_coding.hpp"

#include <array>
#include <limits>
#include <new>

#include <brotli/decode.h>
#include <zlib.h>

#include <fusebox/text/ascii.hpp>

namespace fusebox::middleware {
namespace {

constexpr std::size_t piece_bytes = 16384;

/// gzip, or deflate in zlib's frame; told apart by the first bytes.
class InflateDecoder final : public ContentDecoder {
public:
    InflateDecoder() {
        constexpr int either_frame = 32 + MAX_WBITS;
        if (inflateInit2(&stream_, either_frame) != Z_OK) throw std::bad_alloc{};
    }
    InflateDecoder(const InflateDecoder&) = delete;
    InflateDecoder& operator=(const InflateDecoder&) = delete;
    ~InflateDecoder() override { inflateEnd(&stream_); }

    State decode(std::string_view coded, std::string& decoded, std::size_t most) override {
        if (ended_) return coded.empty() ? State::complete : State::malformed;
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(coded.data()));  // zlib only reads it
        stream_.avail_in = static_cast<uInt>(coded.size());
        std::array<char, piece_bytes> piece{};
        do {
            stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
            stream_.avail_out = static_cast<uInt>(piece.size());
            const int result = inflate(&stream_, Z_NO_FLUSH);
            if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return State::malformed;
            const auto count = piece.size() - stream_.avail_out;
            if (count > most - decoded.size()) return State::too_large;
            decoded.append(piece.data(), count);
            if (result == Z_STREAM_END) {
                ended_ = true;
                return stream_.avail_in == 0 ? State::complete : State::malformed;
            }
        } while (stream_.avail_in > 0 || stream_.avail_out == 0);
        return State::more;
    }

private:
    z_stream stream_{};
    bool ended_{};
};

class BrotliDecoder final : public ContentDecoder {
public:
    BrotliDecoder() : stream_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
        if (!stream_) throw std::bad_alloc{};
    }
    BrotliDecoder(const BrotliDecoder&) = delete;
    BrotliDecoder& operator=(const BrotliDecoder&) = delete;
    ~BrotliDecoder() override { BrotliDecoderDestroyInstance(stream_); }

    State decode(std::string_view coded, std::string& decoded, std::size_t most) override {
        std::size_t left = coded.size();
        const auto* next = reinterpret_cast<const std::uint8_t*>(coded.data());
        std::array<char, piece_bytes> piece{};
        for (;;) {
            std::size_t room = piece.size();
            auto* out = reinterpret_cast<std::uint8_t*>(piece.data());
            const auto result = BrotliDecoderDecompressStream(stream_, &left, &next, &room, &out, nullptr);
            const auto count = piece.size() - room;
            if (count > most - decoded.size()) return State::too_large;
            decoded.append(piece.data(), count);
            if (result == BROTLI_DECODER_RESULT_ERROR) return State::malformed;
            if (result == BROTLI_DECODER_RESULT_SUCCESS) return left == 0 ? State::complete : State::malformed;
            if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) return State::more;
        }
    }

private:
    BrotliDecoderState* stream_;
};

}  // namespace

std::unique_ptr<ContentDecoder> make_content_decoder(std::string_view coding) {
    if (text::equal_without_case(coding, "gzip") || text::equal_without_case(coding, "deflate")) {
        return std::make_unique<InflateDecoder>();
    }
    if (text::equal_without_case(coding, "br")) return std::make_unique<BrotliDecoder>();
    return nullptr;
}

bool accepts_gzip(std::string_view accept_encoding) noexcept {
    while (!accept_encoding.empty()) {
        const auto comma = std::min(accept_encoding.find(','), accept_encoding.size());
        const auto entry = accept_encoding.substr(0, comma);
        accept_encoding.remove_prefix(std::min(comma + 1, accept_encoding.size()));
        const auto semicolon = std::min(entry.find(';'), entry.size());
        if (!text::equal_without_case(text::trimmed(entry.substr(0, semicolon)), "gzip")) continue;
        const auto weight = text::trimmed(entry.substr(std::min(semicolon + 1, entry.size())));
        // "q=0", "q=0.0" … say no; every other weight says yes.
        return !weight.starts_with("q=0") || weight.find_first_of("123456789") != std::string_view::npos;
    }
    return false;
}

std::optional<std::string> to_gzip(std::string_view text) {
    constexpr int gzip_frame = 16 + MAX_WBITS;
    constexpr int usual_memory = 8;
    if (text.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_frame, usual_memory, Z_DEFAULT_STRATEGY) != Z_OK) {
        return std::nullopt;
    }
    std::string result(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib only reads it
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    const int ended = deflate(&stream, Z_FINISH);
    result.resize(stream.total_out);
    deflateEnd(&stream);
    if (ended != Z_STREAM_END) return std::nullopt;
    return result;
}

}  // namespace fusebox::middleware
