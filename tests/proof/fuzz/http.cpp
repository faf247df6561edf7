#include <algorithm>
#include <string>

#include "chunk_reader.hpp"
#include "message_head.hpp"
#include "proof/fuzz/targets.hpp"

namespace fusebox::test::fuzz {
namespace {

using namespace middleware;

std::expected<std::size_t, Refusal> scan(std::string_view text, std::size_t piece) {
    HeadScanner scanner;
    for (std::size_t end = 0; end < text.size();) {
        end += std::min(piece, text.size() - end);
        auto found = scanner.find_end(text.substr(0, end));
        if (!found || *found > 0) return found;
    }
    return 0;
}

void promise_sound(const MessageHead& head, std::string_view text) {
    promise(head.target.starts_with('/') && head.target.size() <= max_target_bytes, "a target is no path");
    promise(head.headers.size() <= max_headers, "there are too many headers");
    promise(!(head.chunked && head.length), "a body ends in two ways");
    const auto clean = [](std::string_view part) {
        return part.find_first_of(std::string_view{"\r\n\0", 3}) == part.npos;
    };
    promise(clean(head.method) && clean(head.target), "the request line has an end of line in it");
    std::string again = head.method + ' ' + head.target + (head.http_1_0 ? " HTTP/1.0" : " HTTP/1.1") + "\r\n";
    for (const auto& [name, value] : head.headers) {
        promise(!name.empty() && clean(name) && clean(value), "a header has an end of line in it");
        again += name + ": " + value + "\r\n";
    }
    // What is written from it is read as the same, so that nobody behind us reads something else.
    const auto second = parse_head(again + "\r\n");
    promise(second.has_value() && second->headers == head.headers && second->length == head.length &&
                second->chunked == head.chunked && second->target == head.target,
            "written again it is another head");
    promise(text.size() <= max_head_bytes, "a head is too large");
}

struct Body {
    ChunkReader::State state{};
    std::string data;
    std::size_t consumed{};
    bool operator==(const Body&) const = default;
};

Body read_chunks(std::string_view text, std::size_t piece) {
    ChunkReader reader;
    Body body;
    while (body.state == ChunkReader::State::more && body.consumed < text.size()) {
        const auto step = reader.next(text.substr(body.consumed, piece));
        promise(step.consumed >= step.data.size(), "data has come from nowhere");
        promise(step.consumed > 0 || step.state != ChunkReader::State::more, "the reader stands still");
        body.state = step.state;
        body.data += step.data;
        body.consumed += step.consumed;
    }
    return body;
}

}  // namespace

void http(std::string_view text) {
    const auto whole = scan(text, text.size());
    for (const std::size_t piece : {1UL, 7UL}) {
        const auto pieces = scan(text, piece);
        promise(pieces.has_value() == whole.has_value() && (!whole || *whole == *pieces), "pieces make another head");
    }
    if (const auto head = parse_head(text)) promise(whole && *whole == text.size(), "what has no end is parsed");
    auto rest = text;
    if (whole && *whole > 0) {
        const auto head_text = text.substr(0, *whole);
        if (const auto head = parse_head(head_text)) promise_sound(*head, head_text);
        rest.remove_prefix(*whole);
    }
    const auto body = read_chunks(rest, rest.size() + 1);
    promise(read_chunks(rest, 1) == body && read_chunks(rest, 5) == body, "pieces make another body");
}

}  // namespace fusebox::test::fuzz
