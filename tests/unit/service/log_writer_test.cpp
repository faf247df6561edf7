#include "log_writer.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using service::LogWriter;

namespace {

/// What was written, by a reader that may stop reading.
class Reader {
public:
    void take(std::string_view lines) {
        std::unique_lock lock(mutex_);
        ++entered_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return reads_; });
        text_ += lines;
    }
    void stop_reading() {
        const std::lock_guard lock(mutex_);
        reads_ = false;
    }
    void read_again() {
        const std::lock_guard lock(mutex_);
        reads_ = true;
        changed_.notify_all();
    }
    /// Waits until the writer has come `times` in all.
    void wait_entered(int times) {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, 10s, [&] { return entered_ >= times; })) FAIL("the writer does not write");
    }
    std::string text() {
        const std::lock_guard lock(mutex_);
        return text_;
    }

private:
    std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    bool reads_{true};
    int entered_{};
    std::string text_;
};

service::LogWriterOptions options(Reader& reader) {
    return {.sink = [&reader](std::string_view lines) { reader.take(lines); },
            .describe_dropped = [](std::uint64_t count) { return "dropped " + std::to_string(count); },
            .max_bytes = 40,
            .urgent_bytes = 20,
            .gather = 1ms};
}

}  // namespace

TEST_CASE("lines come out whole, in their order, and all of them at the end") {
    Reader reader;
    std::string expected;
    {
        auto chosen = options(reader);
        chosen.max_bytes = 1U << 20U;
        LogWriter writer{chosen};
        for (int i = 0; i < 1000; ++i) {
            writer.write(std::to_string(i), i % 100 == 0);
            expected += std::to_string(i) + '\n';
        }
    }
    CHECK(reader.text() == expected);
}

TEST_CASE("lines of several threads are not mixed") {
    Reader reader;
    {
        auto chosen = options(reader);
        chosen.max_bytes = 1U << 20U;
        LogWriter writer{chosen};
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&writer, t] {
                for (int i = 0; i < 500; ++i) writer.write(std::string(20, static_cast<char>('a' + t)), false);
            });
        }
    }
    const auto text = reader.text();
    REQUIRE(text.size() == std::size_t{4} * 500 * 21);
    for (std::size_t at = 0; at < text.size(); at += 21) {
        if (text.substr(at, 20) != std::string(20, text[at]) || text[at + 20] != '\n') FAIL("a mixed line at " << at);
    }
}

TEST_CASE("who logs does not wait for a reader that has stopped, and what is dropped is counted and said") {
    Reader reader;
    reader.stop_reading();
    LogWriter writer{options(reader)};
    writer.write("first", false);
    reader.wait_entered(1);                                         // it is stuck with the first line
    for (int i = 0; i < 10; ++i) writer.write("123456789", false);  // 4 × 10 bytes find room
    CHECK(writer.dropped() == 6);
    CHECK_FALSE(writer.flush(20ms));
    reader.read_again();
    REQUIRE(writer.flush(10s));
    CHECK(reader.text() == "first\n123456789\n123456789\n123456789\n123456789\ndropped 6\n");
    writer.write("later", false);
    REQUIRE(writer.flush(10s));
    CHECK(reader.text().ends_with("dropped 6\nlater\n"));
}

TEST_CASE("an error does not wait for other lines") {
    Reader reader;
    auto chosen = options(reader);
    chosen.gather = 1h;
    LogWriter writer{chosen};
    writer.write("first", false);
    writer.write("an error", true);
    reader.wait_entered(1);
}

TEST_CASE("errors have room where other lines have none") {
    Reader reader;
    reader.stop_reading();
    LogWriter writer{options(reader)};
    writer.write("first", false);
    reader.wait_entered(1);
    for (int i = 0; i < 5; ++i) writer.write("123456789", false);
    writer.write("an error", true);
    writer.write("an error", true);
    CHECK(writer.dropped() == 1);
    writer.write("an error", true);  // 40 + 2 × 9 of 60 bytes are taken
    CHECK(writer.dropped() == 2);
    reader.read_again();
    REQUIRE(writer.flush(10s));
    CHECK(reader.text().find("an error\nan error\ndropped 2\n") != std::string::npos);
}

}  // namespace fusebox::test
