#include "chunk_reader.hpp"

#include <string>

#include "support/catch.hpp"

namespace fusebox::test {

using middleware::ChunkReader;
using State = ChunkReader::State;

namespace {

struct Read {
    State state{};
    std::string data;
    std::size_t consumed{};
    bool operator==(const Read&) const = default;
};

/// Fed `piece` bytes at a time.
Read read(std::string_view bytes, std::size_t piece = std::string_view::npos) {
    ChunkReader reader;
    Read result;
    while (result.state == State::more && result.consumed < bytes.size()) {
        auto given = bytes.substr(result.consumed, piece);
        while (!given.empty() && result.state == State::more) {
            const auto step = reader.next(given);
            result.state = step.state;
            result.data += step.data;
            result.consumed += step.consumed;
            given.remove_prefix(step.consumed);
        }
    }
    return result;
}

State state_of(std::string_view bytes) {
    const auto whole = read(bytes);
    CHECK(read(bytes, 1) == whole);
    CHECK(read(bytes, 3) == whole);
    return whole.state;
}

}  // namespace

TEST_CASE("chunks give their data, and nothing behind them") {
    const std::string body = "3\r\nabc\r\n0a;x=\"y\"\r\n0123456789\r\n00\r\n";
    CHECK(read(body + "\r\nGET /") == Read{State::complete, "abc0123456789", body.size() + 2});
    CHECK(read(body + "\r\nGET /", 1) == Read{State::complete, "abc0123456789", body.size() + 2});
    CHECK(state_of(body + "X-Trailer: a\r\nY:\r\n\r\n") == State::complete);
    CHECK(state_of("0\r\n\r\n") == State::complete);
    CHECK(read("A\r\n0123456789\r\n0\r\n\r\n").data == "0123456789");
}

TEST_CASE("data may hold anything, the look of framing too") {
    CHECK(read("7\r\n0\r\n\r\n\n\n\r\n0\r\n\r\n").data == "0\r\n\r\n\n\n");
}

TEST_CASE("framing that another reader could understand differently is malformed") {
    using namespace std::string_literals;
    for (const auto& bytes : {
             "0xd\r\n"s,
             "+d\r\n"s,
             "-d\r\n"s,
             "dzz\r\n"s,
             "\r\n"s,
             ";a\r\n"s,
             " d\r\n"s,
             "d \r\n"s,
             "d\t\r\n"s,
             "d\n"s,
             "d\r\r\n"s,
             "d\rx"s,
             "g\r\n"s,
             "1\0\r\n"s,
             "\xef\xbc\x91\r\n"s,
             "10000000000000000\r\n"s,   // 2^64
             "00000000000000001\r\n"s,   // over-long
             "ffffffffffffffffff\r\n"s,  // over-long
             "3\r\nabcd\r\n"s,
             "3\r\nabc\n"s,
             "3\r\nabc\rx"s,
             "3\r\nabcxx0\r\n\r\n"s,
             "3\r\nabc\r\nzz\r\n"s,
             "3;a\nb\r\n"s,
             "3;a\0b\r\n"s,
             "3;a\x1b\r\n"s,
             "0\r\nX\r\n"s,
             "0\r\nX : a\r\n"s,
             "0\r\n folded\r\n"s,
             "0\r\nX: a\n\n"s,
             "0\r\nX: a\0b\r\n"s,
             "0\r\nX: a\rY"s,
             "0\r\n\n"s,
             "0\r\n\rx"s,
         }) {
        CAPTURE(bytes);
        CHECK(state_of(bytes) == State::malformed);
    }
}

TEST_CASE("the largest size does not wrap around") {
    CHECK(read("ffffffffffffffff\r\nabc") == Read{State::more, "abc", 21});
    CHECK(read("fffffffffffffffe\r\nabc") == Read{State::more, "abc", 21});
}

TEST_CASE("extensions are bounded for all chunks together, and so are trailers") {
    const auto many = [](std::size_t bytes) {
        std::string text;
        for (std::size_t i = 0; i < bytes; i += 2) text += "1;ab\r\nx\r\n";
        return text + "0\r\n\r\n";
    };
    CHECK(state_of(many(ChunkReader::max_extension_bytes)) == State::complete);
    CHECK(state_of(many(ChunkReader::max_extension_bytes + 2)) == State::malformed);
    CHECK(state_of("1;" + std::string(ChunkReader::max_extension_bytes + 1, 'a')) == State::malformed);

    const auto trailer = [](std::size_t bytes) {  // with its own end and that of the trailers
        return "0\r\nX: " + std::string(bytes - 7, 'a') + "\r\n\r\n";
    };
    CHECK(state_of(trailer(ChunkReader::max_trailer_bytes)) == State::complete);
    CHECK(state_of(trailer(ChunkReader::max_trailer_bytes + 2)) == State::malformed);
    std::string endless = "0\r\n";
    while (endless.size() < 2 * ChunkReader::max_trailer_bytes) endless += "A: b\r\n";
    CHECK(state_of(endless) == State::malformed);
}

TEST_CASE("after the end, and after a mistake, nothing is read any more") {
    ChunkReader reader;
    REQUIRE(reader.next("0\r\n\r\n").state == State::complete);
    CHECK(reader.next("3\r\nabc").state == State::complete);
    CHECK(reader.next("3\r\nabc").consumed == 0);
    ChunkReader broken;
    REQUIRE(broken.next("z").state == State::malformed);
    CHECK(broken.next("3\r\nabc\r\n").state == State::malformed);
    CHECK(broken.next("3\r\nabc\r\n").data.empty());
}

}  // namespace fusebox::test
