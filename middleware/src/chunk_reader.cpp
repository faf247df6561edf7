#include "chunk_reader.hpp"

#include <algorithm>
#include <optional>

#include <fusebox/text/ascii.hpp>

#include "message_head.hpp"

namespace fusebox::middleware {
namespace {

std::optional<unsigned> hex_digit(char c) {
    const char low = text::lower(c);
    if (text::is_digit(low)) return static_cast<unsigned>(low - '0');
    if (low >= 'a' && low <= 'f') return static_cast<unsigned>(low - 'a') + 10;
    return std::nullopt;
}

}  // namespace

ChunkReader::Step ChunkReader::next(std::string_view bytes) {
    std::size_t consumed = 0;
    while (consumed < bytes.size() && place_ != Place::data && place_ != Place::end && place_ != Place::broken) {
        place_ = after(bytes[consumed]);
        ++consumed;
    }
    if (place_ == Place::end) return {.state = State::complete, .consumed = consumed};
    if (place_ == Place::broken) return {.state = State::malformed, .consumed = consumed};
    if (place_ != Place::data || consumed == bytes.size()) return {.state = State::more, .consumed = consumed};
    const auto data = bytes.substr(consumed, std::min<std::uint64_t>(left_, bytes.size() - consumed));
    left_ -= data.size();
    if (left_ == 0) place_ = Place::data_return;
    return {.state = State::more, .consumed = consumed + data.size(), .data = data};
}

/// Where the reader is after `c`, which is no data.
ChunkReader::Place ChunkReader::after(char c) {
    switch (place_) {
        case Place::size:
            return after_size(c);
        case Place::extension:
            if (c == '\r') return Place::size_end;
            if (++extension_bytes_ > max_extension_bytes || (text::is_control(c) && c != '\t')) return Place::broken;
            return Place::extension;
        case Place::size_end:
            digits_ = 0;
            if (c != '\n') return Place::broken;
            return left_ == 0 ? Place::trailer : Place::data;
        case Place::data_return:
            return c == '\r' ? Place::data_end : Place::broken;
        case Place::data_end:
            return c == '\n' ? Place::size : Place::broken;
        case Place::trailer:
            if (++trailer_bytes_ > max_trailer_bytes) return Place::broken;
            if (c == '\r') return Place::trailer_end;
            if (text::is_control(c) && c != '\t') return Place::broken;
            trailer_ += c;
            return Place::trailer;
        case Place::trailer_end:
            ++trailer_bytes_;
            return c == '\n' ? after_trailer_line() : Place::broken;
        case Place::data:
        case Place::end:
        case Place::broken:
            break;
    }
    return Place::broken;
}

ChunkReader::Place ChunkReader::after_size(char c) {
    if (const auto digit = hex_digit(c)) {
        // 16 digits are 64 bits, so that the size cannot overflow.
        if (digits_ == max_size_digits) return Place::broken;
        left_ = left_ * 16 + *digit;
        ++digits_;
        return Place::size;
    }
    if (digits_ == 0) return Place::broken;
    if (c == '\r') return Place::size_end;
    return c == ';' ? Place::extension : Place::broken;
}

ChunkReader::Place ChunkReader::after_trailer_line() {
    if (trailer_.empty()) return Place::end;
    const bool good = is_header_line(trailer_);
    trailer_.clear();
    return good ? Place::trailer : Place::broken;
}

}  // namespace fusebox::middleware
