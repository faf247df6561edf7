#include <fusebox/incidents/types.hpp>

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

namespace fusebox::incidents {

namespace {

using namespace std::chrono;

constexpr WallTime first_time{sys_days{year{1} / January / 1}};
constexpr WallTime last_time{sys_days{year{9999} / December / 31} + days{1} - microseconds{1}};

constexpr char to_lower(char letter) noexcept {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

/// Eats a fixed-width text from the left; after the first mismatch `ok` stays false.
struct Reader {
    std::string_view rest;
    bool ok{true};

    void literal(std::string_view any_of) {
        ok = ok && !rest.empty() && any_of.find(rest.front()) != std::string_view::npos;
        if (ok) rest.remove_prefix(1);
    }
    /// A number of exactly `width` digits, at most `max`.
    int number(std::size_t width, int max) {
        int value = 0;
        ok = ok && rest.size() >= width;
        for (std::size_t i = 0; ok && i < width; ++i) {
            ok = rest[i] >= '0' && rest[i] <= '9';
            value = value * 10 + (rest[i] - '0');
        }
        ok = ok && value <= max;
        if (ok) rest.remove_prefix(width);
        return value;
    }
    [[nodiscard]] bool next_is(std::string_view any_of) const {
        return ok && !rest.empty() && any_of.find(rest.front()) != std::string_view::npos;
    }
};

/// 1 to 9 digits after the point.
microseconds read_fraction(Reader& reader) {
    const auto length = std::min(reader.rest.find_first_not_of("0123456789"), reader.rest.size());
    reader.ok = reader.ok && length >= 1 && length <= 9;
    if (!reader.ok) return {};
    std::int64_t value = 0;
    for (std::size_t i = 0; i < 6; ++i) value = value * 10 + (i < length ? reader.rest[i] - '0' : 0);
    reader.rest.remove_prefix(length);
    return microseconds{value};
}

/// `before`, then `value` (not negative) with leading zeros.
void append_number(std::string& out, std::string_view before, std::int64_t value, std::size_t width) {
    const auto digits = std::to_string(value);
    out.append(before).append(width - std::min(width, digits.size()), '0').append(digits);
}

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
    static constexpr std::array<std::pair<std::string_view, Severity>, 13> words{{
        {"p0", Severity::p0},
        {"p1", Severity::p1},
        {"p2", Severity::p2},
        {"p3", Severity::p3},
        {"p4", Severity::p4},
        {"critical", Severity::p0},
        {"error", Severity::p1},
        {"high", Severity::p1},
        {"warning", Severity::p2},
        {"medium", Severity::p2},
        {"info", Severity::p3},
        {"low", Severity::p3},
        {"none", Severity::p4},
    }};
    for (const auto& [word, severity] : words) {
        if (std::ranges::equal(text, word, {}, to_lower)) return severity;
    }
    return std::nullopt;
}

std::string to_rfc3339(WallTime time) {
    time = std::clamp(time, first_time, last_time);
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    std::string out;
    out.reserve(sizeof "2026-01-01T00:00:00.000000Z");
    append_number(out, "", static_cast<int>(date.year()), 4);
    append_number(out, "-", static_cast<unsigned>(date.month()), 2);
    append_number(out, "-", static_cast<unsigned>(date.day()), 2);
    append_number(out, "T", clock.hours().count(), 2);
    append_number(out, ":", clock.minutes().count(), 2);
    append_number(out, ":", clock.seconds().count(), 2);
    if (const auto fraction = clock.subseconds().count(); fraction != 0) append_number(out, ".", fraction, 6);
    return out += 'Z';
}

std::optional<WallTime> from_rfc3339(std::string_view text) {
    Reader reader{text};
    const year y{reader.number(4, 9999)};
    reader.literal("-");
    const month m{static_cast<unsigned>(reader.number(2, 12))};
    reader.literal("-");
    const day d{static_cast<unsigned>(reader.number(2, 31))};
    reader.literal("Tt");
    const hours h{reader.number(2, 23)};
    reader.literal(":");
    const minutes min{reader.number(2, 59)};
    reader.literal(":");
    const seconds s{reader.number(2, 60)};
    microseconds fraction{};
    if (reader.next_is(".")) {
        reader.literal(".");
        fraction = read_fraction(reader);
    }
    minutes offset{};
    if (reader.next_is("+-")) {
        const int sign = reader.rest.front() == '-' ? -1 : 1;
        reader.literal("+-");
        offset = hours{reader.number(2, 23)};
        reader.literal(":");
        offset += minutes{reader.number(2, 59)};
        offset *= sign;
    } else {
        reader.literal("Zz");
    }
    const year_month_day date{y, m, d};
    if (!reader.ok || !reader.rest.empty() || !date.ok()) return std::nullopt;

    const WallTime minute = sys_days{date} + h + min - offset;
    // A leap second is only ever the last of a day in UTC; here it is the first instant of the next day, as in POSIX.
    if (s == seconds{60} && minute - floor<days>(minute) != hours{23} + minutes{59}) return std::nullopt;
    const WallTime time = minute + s + fraction;
    if (time < first_time || time > last_time) return std::nullopt;
    return time;
}

std::string new_id(std::string_view prefix, WallTime now) {
    static constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    std::array<unsigned char, 16> bytes{};
    auto stamp =
        static_cast<std::uint64_t>(std::max<std::int64_t>(floor<milliseconds>(now).time_since_epoch().count(), 0));
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
