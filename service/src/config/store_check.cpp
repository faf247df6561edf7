#include "config/store_check.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace fusebox::service {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view first_bytes{"SQLite format 3\0", 16};

std::string words(int code) { return std::generic_category().message(code); }

/// 0, or why no file can be made in `folder`.
int try_folder(const fs::path& folder) {
    int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {  // no such files there
        auto pattern = (folder / ".incidentd-check-XXXXXX").string();
        fd = ::mkostemp(pattern.data(), O_CLOEXEC);
        if (fd >= 0) ::unlink(pattern.c_str());
    }
    if (fd < 0) return errno;
    constexpr std::array<char, 4096> page{};  // a full disk makes files, but has no room in them
    const int code = ::write(fd, page.data(), page.size()) == static_cast<ssize_t>(page.size()) ? 0
                     : errno != 0                                                               ? errno
                                                                                                : ENOSPC;
    ::close(fd);
    return code;
}

std::optional<std::string> check_folder(fs::path folder) {
    if (folder.empty()) folder = ".";
    std::error_code unknown;
    while (!fs::exists(folder, unknown) && folder.has_parent_path() && folder != folder.parent_path())
        folder = folder.parent_path();
    if (!fs::exists(folder, unknown)) folder = ".";
    if (!fs::is_directory(folder, unknown)) return fmt::format("{} is not a folder", folder.string());
    if (const int code = try_folder(folder))
        return fmt::format("no file can be written in {}: {}", folder.string(), words(code));
    return std::nullopt;
}

std::optional<std::string> check_file(const fs::path& file) {
    struct stat facts{};
    if (::stat(file.c_str(), &facts) != 0) return fmt::format("{} cannot be read: {}", file.string(), words(errno));
    if (!S_ISREG(facts.st_mode)) return fmt::format("{} is not a regular file", file.string());
    const int fd = ::open(file.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return fmt::format("{} cannot be opened for writing: {}", file.string(), words(errno));
    std::array<char, first_bytes.size()> begin{};
    const auto count = ::read(fd, begin.data(), begin.size());
    ::close(fd);
    const bool fresh = facts.st_size == 0;
    if (!fresh &&
        (count != static_cast<ssize_t>(begin.size()) || std::string_view{begin.data(), begin.size()} != first_bytes)) {
        return fmt::format("{} is no SQLite database", file.string());
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> check_store(const std::string& url) {
    constexpr std::string_view scheme = "sqlite:";
    if (!url.starts_with(scheme)) return std::nullopt;
    const fs::path file{url.substr(scheme.size())};
    std::error_code unknown;
    if (fs::exists(file, unknown)) {
        if (auto wrong = check_file(file)) return wrong;
    } else if (unknown) {
        return fmt::format("{} cannot be reached: {}", file.string(), unknown.message());
    }
    // SQLite keeps its log beside the database, so that the folder must be writable too.
    return check_folder(file.parent_path());
}

}  // namespace fusebox::service
