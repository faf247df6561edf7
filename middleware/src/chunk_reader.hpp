// A body in chunks (RFC 9112 §7.1), read strictly: every byte of the framing is checked, and none is guessed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fusebox::middleware {

/// Reads one body. Chunk extensions and trailers are checked, bounded and ignored.
class ChunkReader {
public:
    static constexpr std::size_t max_size_digits = 16;
    static constexpr std::size_t max_extension_bytes = 4096;  ///< of all chunks of a body together
    static constexpr std::size_t max_trailer_bytes = 4096;  ///< of all trailers together, with the ends of their lines

    enum class State { more, complete, malformed };
    /// `consumed` bytes have been understood; the last of them are `data`, which may be empty.
    struct Step {
        State state{};
        std::size_t consumed{};
        std::string_view data{};
    };

    /// The next step through `bytes`, which must begin where the step before ended. At most one run of data a step;
    /// `more` without data means that all of `bytes` is consumed. After `complete` or `malformed`: nothing any more.
    Step next(std::string_view bytes);

private:
    enum class Place { size, extension, size_end, data, data_return, data_end, trailer, trailer_end, end, broken };

    Place after(char c);
    Place after_size(char c);
    Place after_trailer_line();

    Place place_{Place::size};
    std::size_t digits_{};
    std::uint64_t left_{};  ///< of the chunk: while its size is read, the size so far
    std::size_t extension_bytes_{};
    std::size_t trailer_bytes_{};
    std::string trailer_;
};

}  // namespace fusebox::middleware
