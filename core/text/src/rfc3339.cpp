#include <fusebox/text/rfc3339.hpp>

#include <algorithm>
#include <cstdint>

#include <fusebox/text/ascii.hpp>

namespace fusebox::text {
namespace {

using namespace std::chrono;
using WallTime = sys_time<microseconds>;

constexpr WallTime first_time{sys_days{year{1} / January / 1}};
constexpr WallTime last_time{sys_days{year{9999} / December / 31} + days{1} - microseconds{1}};

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
            ok = is_digit(rest[i]);
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

}  // namespace

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

}  // namespace fusebox::text
