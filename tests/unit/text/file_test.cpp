#include <fusebox/text/file.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <future>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using text::read_file;

namespace {

constexpr std::size_t limit = 100'000;

/// Why it is not read; fails the test where that takes long, as opening a FIFO the ordinary way would.
std::string refusal(const std::filesystem::path& path) {
    auto reading = std::async(std::launch::async, [path] { return read_file(path, limit); });
    if (reading.wait_for(10s) != std::future_status::ready) {
        // Frees the reader, so that the test can end.
        std::ofstream{path};
        FAIL("reading " << path << " waits");
    }
    const auto read = reading.get();
    REQUIRE_FALSE(read);
    return read.error().message;
}

}  // namespace

TEST_CASE("a regular file is read whole, whatever is in it") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "content";
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'536}, std::size_t{65'537}, limit}) {
        std::string content(size, 'x');
        if (size > 1) content[1] = '\0';
        std::ofstream{path, std::ios::binary} << content;
        const auto read = read_file(path, limit);
        REQUIRE(read);
        CHECK(*read == content);
    }
    std::filesystem::create_symlink(path, folder.path() / "link");
    CHECK(read_file(folder.path() / "link", limit)->size() == limit);
    CHECK_FALSE(read_file("/proc/self/status", limit)->empty());
}

TEST_CASE("a file is read up to its limit and not a byte beyond") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "content";
    std::ofstream{path} << std::string(11, 'x');
    CHECK(read_file(path, 11)->size() == 11);
    const auto read = read_file(path, 10);
    REQUIRE_FALSE(read);
    CHECK(read.error().message == "has more than 10 bytes, which is the most that is read");
    CHECK_FALSE(read.error().code);
}

TEST_CASE("what is not a regular file is refused at once") {
    const TemporaryFolder folder;
    const auto fifo = folder.path() / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(refusal(fifo) == "is a FIFO, and must be a regular file");
    CHECK(refusal("/dev/zero") == "is a device, and must be a regular file");
    CHECK(refusal(folder.path()) == "is a folder, and must be a regular file");

    const auto socket_file = folder.path() / "socket";
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_file.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    CHECK(refusal(socket_file).starts_with("cannot be read: "));
    ::close(fd);
}

TEST_CASE("a file that is not there is told from one that cannot be read") {
    const auto absent = read_file("/nonexistent/file", limit);
    REQUIRE_FALSE(absent);
    CHECK(absent.error().message == "cannot be read: No such file or directory");
    CHECK(absent.error().code == std::errc::no_such_file_or_directory);
}

}  // namespace fusebox::test
