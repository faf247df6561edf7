#include "store_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <thread>

#include <fmt/format.h>

namespace fusebox::service {
namespace {

namespace fs = std::filesystem;

/// As the store makes them: for nobody else. One that is there already, or cannot be made, stays as it is.
void make_folders(const fs::path& folder) {
    fs::path made;
    for (const auto& part : folder) {
        made /= part;
        ::mkdir(made.c_str(), S_IRWXU);
    }
}

std::string holder(int descriptor) {
    std::array<char, 20> digits{};
    const auto count = ::pread(descriptor, digits.data(), digits.size(), 0);
    return count > 0 ? fmt::format(" (process {})", std::string_view{digits.data(), static_cast<std::size_t>(count)})
                     : std::string{};
}

void name_holder(int descriptor) {
    const auto process = std::to_string(::getpid());
    if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, process.data(), process.size(), 0) < 0) {
        return;  // a full disk: who holds the lock stays unsaid
    }
}

}  // namespace

StoreLock::~StoreLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

std::expected<StoreLock, std::string> StoreLock::take(const std::string& url, std::chrono::milliseconds patience) {
    constexpr std::string_view scheme = "sqlite:";
    if (!url.starts_with(scheme) || url.size() == scheme.size()) return StoreLock{};
    std::error_code unknown;
    const fs::path named{url.substr(scheme.size())};
    const auto real = fs::weakly_canonical(named, unknown);  // a link and what it leads to are one store
    const auto& file = unknown ? named : real;
    make_folders(file.parent_path());
    const int descriptor =
        ::open((file.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (descriptor < 0) return StoreLock{};
    StoreLock lock{descriptor};
    const auto end = std::chrono::steady_clock::now() + patience;
    while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return lock;  // a file system without locks
        if (std::chrono::steady_clock::now() >= end) {
            return std::unexpected(
                fmt::format("another incidentd{} uses the store {}: stop that one first, or give this one a store of "
                            "its own (store.url)",
                            holder(descriptor), url));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
    name_holder(descriptor);
    return lock;
}

}  // namespace fusebox::service
