#include <fusebox/text/file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace fusebox::text {
namespace {

std::unexpected<FileError> not_read(int code) {
    const std::error_code reason{code, std::generic_category()};
    return std::unexpected(FileError{.message = "cannot be read: " + reason.message(), .code = reason});
}

const char* kind_of(mode_t mode) noexcept {
    switch (mode & S_IFMT) {
        case S_IFDIR:
            return "a folder";
        case S_IFIFO:
            return "a FIFO";
        case S_IFSOCK:
            return "a socket";
        case S_IFCHR:
        case S_IFBLK:
            return "a device";
        default:
            return "something else";
    }
}

/// Closed when it goes.
struct OpenFile {
    int fd;
    explicit OpenFile(int opened) noexcept : fd(opened) {}
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile() {
        if (fd >= 0) ::close(fd);
    }
};

}  // namespace

std::expected<std::string, FileError> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
    // Without O_NONBLOCK to open a FIFO waits for its writer; without O_NOCTTY a terminal could become ours.
    const OpenFile file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    if (file.fd < 0) return not_read(errno);
    struct stat facts{};
    if (::fstat(file.fd, &facts) != 0) return not_read(errno);
    if (!S_ISREG(facts.st_mode)) {
        return std::unexpected(
            FileError{.message = std::string{"is "} + kind_of(facts.st_mode) + ", and must be a regular file"});
    }
    // The size that was told may be wrong by now, and is 0 for the files of /proc: what is read decides.
    std::string content;
    while (content.size() <= max_bytes) {
        constexpr std::size_t most_at_once = 64U << 10U;
        const auto before = content.size();
        const auto wanted = std::min(most_at_once, max_bytes + 1 - before);
        content.resize(before + wanted);
        const auto count = ::read(file.fd, content.data() + before, wanted);
        content.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count < 0 && errno != EINTR) return not_read(errno);
        if (count == 0) return content;
    }
    return std::unexpected(
        FileError{.message = "has more than " + std::to_string(max_bytes) + " bytes, which is the most that is read"});
}

}  // namespace fusebox::text
