#include "content_coding.hpp"

#include <string>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;
using State = ContentDecoder::State;

namespace {

struct Decoded {
    State state{};
    std::string text;
};

Decoded decode(std::string_view coding, std::string_view bytes, std::size_t most = 1'000'000,
               std::size_t piece = std::string_view::npos) {
    Decoded result;
    const auto decoder = make_content_decoder(coding);
    REQUIRE(decoder);
    while (!bytes.empty() && (result.state == State::more || result.state == State::complete)) {
        const auto given = bytes.substr(0, piece);
        result.state = decoder->decode(given, result.text, most);
        bytes.remove_prefix(given.size());
    }
    return result;
}

// "hello", as Brotli's encoder writes it.
const std::string brotli_hello{"\x0b\x02\x80hello\x03", 9};
// zlib's frame around "hello", as Python's zlib.compress writes it.
const std::string deflate_hello{"\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15", 13};

}  // namespace

TEST_CASE("a compressed body is whole when its stream has ended") {
    const std::string text(100'000, 'a');
    const auto gzip = *to_gzip(text);
    for (const std::size_t piece : {1UL, 7UL, 100'000UL}) {
        const auto whole = decode("gzip", gzip, text.size(), piece);
        CHECK(whole.state == State::complete);
        CHECK(whole.text == text);
    }
    CHECK(decode("GZIP", gzip).state == State::complete);
    CHECK(decode("deflate", deflate_hello).text == "hello");
    CHECK(decode("deflate", deflate_hello).state == State::complete);
    CHECK(decode("br", brotli_hello).text == "hello");
    CHECK(decode("br", brotli_hello).state == State::complete);
    CHECK_FALSE(make_content_decoder("zstd"));
    CHECK_FALSE(make_content_decoder(""));
}

TEST_CASE("no part of a compressed body passes for all of it") {
    const auto gzip = *to_gzip("some text that is worth it");
    for (const auto& [coding, bytes] : {std::pair{"gzip", gzip}, {"deflate", deflate_hello}, {"br", brotli_hello}}) {
        for (std::size_t size = 1; size < bytes.size(); ++size) {
            CAPTURE(coding, size);
            CHECK(decode(coding, std::string_view{bytes}.substr(0, size)).state == State::more);
        }
    }
}

TEST_CASE("what is not so encoded, or has something behind its end, is malformed") {
    auto wrong_sum = *to_gzip("hello");
    wrong_sum[wrong_sum.size() - 8] ^= 1;
    CHECK(decode("gzip", wrong_sum).state == State::malformed);
    CHECK(decode("gzip", "hello").state == State::malformed);
    CHECK(decode("br", std::string(20, '\xff')).state == State::malformed);
    for (const std::size_t piece : {1UL, 1000UL}) {
        CHECK(decode("gzip", *to_gzip("hello") + "x", 1000, piece).state == State::malformed);
        CHECK(decode("gzip", *to_gzip("hello") + *to_gzip("hello"), 1000, piece).state == State::malformed);
        CHECK(decode("br", brotli_hello + "x", 1000, piece).state == State::malformed);
    }
}

TEST_CASE("a bomb is too large before it has grown") {
    const auto bomb = *to_gzip(std::string(50'000'000, '\0'));
    const auto result = decode("gzip", bomb, 1000);
    CHECK(result.state == State::too_large);
    CHECK(result.text.size() <= 1000);
    const std::string text(1000, 'x');
    CHECK(decode("gzip", *to_gzip(text), 1000).state == State::complete);
    CHECK(decode("gzip", *to_gzip(text + "x"), 1000).state == State::too_large);
}

TEST_CASE("an answer is compressed for who takes gzip") {
    for (const auto* value : {"gzip", "br, gzip", "deflate, GZIP;q=0.5", "gzip; q=1.0, *;q=0"}) {
        CAPTURE(value);
        CHECK(accepts_gzip(value));
    }
    for (const auto* value : {"", "br", "identity", "gzip;q=0", "gzip; q=0.000", "xgzip", "*"}) {
        CAPTURE(value);
        CHECK_FALSE(accepts_gzip(value));
    }
}

}  // namespace fusebox::test
