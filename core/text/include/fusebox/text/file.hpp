// Small files, read whole without ever waiting for anybody.
#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>
#include <string>
#include <system_error>

namespace fusebox::text {

/// Why a file was not read.
struct FileError {
    std::string message;     ///< what may follow the name: "cannot be read: No such file or directory"
    std::error_code code{};  ///< of the system; none where the file is not a regular one, or too large
};

/// The most that is read of a file of certificates or keys.
inline constexpr std::size_t max_pem_bytes{4U << 20U};

/// The content of the regular file `path` (or of the one that a link leads to), at most `max_bytes` of it: a larger one
/// is refused. So is everything that is not a regular file, at once and without opening it for longer than that takes:
/// a FIFO would wait for its writer, a device may have no end.
[[nodiscard]] std::expected<std::string, FileError> read_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace fusebox::text
