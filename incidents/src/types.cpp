#include <fusebox/incidents/types.hpp>

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

#include <fusebox/text/ascii.hpp>

namespace fusebox::incidents {

namespace {

void fill_random(std::span<unsigned char> bytes) {
    while (!bytes.empty()) {
        const auto got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(got));
        } else if (errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
    }
}

}  // namespace

std::string_view to_string(Severity severity) noexcept {
    switch (severity) {
        case Severity::p0:
            return "P0";
        case Severity::p1:
            return "P1";
        case Severity::p2:
            return "P2";
        case Severity::p3:
            return "P3";
        case Severity::p4:
            return "P4";
    }
    std::unreachable();
}

std::optional<Severity> severity_from_string(std::string_view text) noexcept {
    static constexpr std::array<std::pair<std::string_view, Severity>, 24> words{{
        {"p0", Severity::p0},     {"p1", Severity::p1},       {"p2", Severity::p2},    {"p3", Severity::p3},
        {"p4", Severity::p4},     {"critical", Severity::p0}, {"page", Severity::p0},  {"emergency", Severity::p0},
        {"fatal", Severity::p0},  {"disaster", Severity::p0}, {"sev1", Severity::p0},  {"error", Severity::p1},
        {"high", Severity::p1},   {"major", Severity::p1},    {"sev2", Severity::p1},  {"warning", Severity::p2},
        {"medium", Severity::p2}, {"sev3", Severity::p2},     {"info", Severity::p3},  {"low", Severity::p3},
        {"sev4", Severity::p3},   {"none", Severity::p4},     {"debug", Severity::p4}, {"sev5", Severity::p4},
    }};
    for (const auto& [word, severity] : words) {
        if (text::equal_without_case(text, word)) return severity;
    }
    return std::nullopt;
}

std::string new_id(std::string_view prefix, WallTime now) {
    static constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    std::array<unsigned char, 16> bytes{};
    auto stamp = static_cast<std::uint64_t>(
        std::max<std::int64_t>(std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count(), 0));
    for (std::size_t i = 6; i-- > 0; stamp >>= 8) bytes.at(i) = static_cast<unsigned char>(stamp & 0xff);
    fill_random(std::span{bytes}.subspan(6));

    std::string out;
    out.reserve(prefix.size() + 27);
    out.append(prefix).push_back('_');
    // 26 digits of 5 bits hold 130: the number is read as if two zero bits stood before it.
    for (std::size_t digit = 0; digit < 26; ++digit) {
        unsigned value = 0;
        for (std::size_t bit = digit * 5; bit < digit * 5 + 5; ++bit) {
            const unsigned set = bit < 2 ? 0U : (bytes.at((bit - 2) / 8) >> (7 - (bit - 2) % 8)) & 1U;
            value = value << 1 | set;
        }
        out.push_back(alphabet[value]);
    }
    return out;
}

}  // namespace fusebox::incidents
