#include <fusebox/text/duration.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include <fusebox/text/ascii.hpp>

namespace fusebox::text {
namespace {

using std::chrono::nanoseconds;

struct Unit {
    std::string_view name;
    std::uint64_t nanoseconds;
};
// Largest first.
constexpr std::array units{Unit{"d", 86'400'000'000'000},
                           Unit{"h", 3'600'000'000'000},
                           Unit{"m", 60'000'000'000},
                           Unit{"s", 1'000'000'000},
                           Unit{"ms", 1'000'000},
                           Unit{"us", 1'000},
                           Unit{"ns", 1}};
constexpr auto longest = static_cast<std::uint64_t>(std::numeric_limits<nanoseconds::rep>::max());

/// Without the sign, and unsigned, because the most negative duration has no positive counterpart.
std::uint64_t amount_of(nanoseconds duration) {
    const auto count = static_cast<std::uint64_t>(duration.count());
    return duration < nanoseconds::zero() ? 0 - count : count;
}

std::string with_sign_of(nanoseconds duration, const std::string& text) {
    return duration < nanoseconds::zero() ? "-" + text : text;
}

/// "1.5s"; empty where the amount has no exact decimal form in this unit, as 20 s have none in minutes.
std::string exactly_in(const Unit& unit, std::uint64_t amount) {
    auto text = std::to_string(amount / unit.nanoseconds);
    auto rest = amount % unit.nanoseconds;
    if (rest != 0) text += '.';
    constexpr int most_digits = 20;  // 16 are needed: a day has 2^16 × 5^11 × 27 nanoseconds
    for (int digits = 0; rest != 0 && digits < most_digits; ++digits) {
        rest *= 10;
        text += static_cast<char>('0' + rest / unit.nanoseconds);
        rest %= unit.nanoseconds;
    }
    if (rest != 0) return {};
    return text.append(unit.name);
}

std::uint64_t rounded_to(std::uint64_t step, std::uint64_t amount) { return (amount + step / 2) / step * step; }

/// The nearest amount of less than 1000 units that has three significant digits in this unit.
std::uint64_t rounded_in(const Unit& unit, std::uint64_t amount) {
    const auto whole = amount / unit.nanoseconds;
    const std::uint64_t parts = whole < 1 ? 1000 : whole < 10 ? 100 : whole < 100 ? 10 : 1;
    return rounded_to(std::max<std::uint64_t>(1, unit.nanoseconds / parts), amount);
}

}  // namespace

std::optional<nanoseconds> parse_duration(std::string_view text) noexcept {
    const auto take_digits = [&text] {
        std::size_t length = 0;
        while (length < text.size() && is_digit(text[length])) ++length;
        const auto digits = text.substr(0, length);
        text.remove_prefix(length);
        return digits;
    };
    const auto whole = take_digits();
    if (whole.empty()) return std::nullopt;
    std::string_view fraction;
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        fraction = take_digits();
        if (fraction.empty()) return std::nullopt;
    }
    const auto* const unit = std::ranges::find(units, text, &Unit::name);
    if (unit == units.end()) return std::nullopt;

    const auto most = longest / unit->nanoseconds;
    std::uint64_t count = 0;
    for (const char digit : whole) {
        count = count * 10 + static_cast<std::uint64_t>(digit - '0');
        if (count > most) return std::nullopt;
    }
    // From the last digit to the first, so that every step stays small and only parts of a nanosecond are dropped.
    std::uint64_t rest = 0;
    for (auto digit = fraction.rbegin(); digit != fraction.rend(); ++digit) {
        rest = (static_cast<std::uint64_t>(*digit - '0') * unit->nanoseconds + rest) / 10;
    }
    const auto total = count * unit->nanoseconds;
    if (rest > longest - total) return std::nullopt;
    return nanoseconds{static_cast<nanoseconds::rep>(total + rest)};
}

std::string format_duration(nanoseconds duration) {
    if (duration == nanoseconds::zero()) return "0s";
    const auto amount = amount_of(duration);
    std::string shortest;
    for (const auto& unit : units) {
        if (amount < unit.nanoseconds) continue;
        auto text = exactly_in(unit, amount);
        if (!text.empty() && (shortest.empty() || text.size() < shortest.size())) shortest = std::move(text);
    }
    return with_sign_of(duration, shortest);
}

std::string format_rounded_duration(nanoseconds duration) {
    const auto amount = amount_of(duration);
    if (amount == 0) return "0s";
    // From the smallest unit up, each form rounded before it is chosen: what rounds up to the next unit is written in
    // that.
    for (std::size_t at = units.size(); at-- > 3;) {  // ns, us, ms, s
        const auto rounded = rounded_in(units[at], amount);
        if (rounded < units[at - 1].nanoseconds) return with_sign_of(duration, exactly_in(units[at], rounded));
    }
    for (std::size_t at = 2;; --at) {  // m, h, d
        const auto& unit = units[at];
        const auto& smaller = units[at + 1];
        const auto rounded = rounded_to(smaller.nanoseconds, amount);
        if (at != 0 && rounded >= units[at - 1].nanoseconds) continue;
        auto text = exactly_in(unit, rounded / unit.nanoseconds * unit.nanoseconds);
        if (const auto rest = rounded % unit.nanoseconds; rest != 0) text += exactly_in(smaller, rest);
        return with_sign_of(duration, text);
    }
}

}  // namespace fusebox::text
