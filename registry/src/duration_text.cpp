#include <array>
#include <limits>

#include <fusebox/registry/breaker_set.hpp>

namespace fusebox {
namespace {

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
constexpr auto longest = static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) noexcept {
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
    for (const auto& unit : units) {
        if (text != unit.name) continue;
        const auto most = longest / unit.nanoseconds;
        std::uint64_t count = 0;
        for (const char digit : whole) {
            count = count * 10 + static_cast<std::uint64_t>(digit - '0');
            if (count > most) return std::nullopt;
        }
        // From the last digit to the first, so that every step stays small and only parts of a nanosecond are dropped.
        std::uint64_t rest = 0;
        for (auto digit = fraction.rbegin(); digit != fraction.rend(); ++digit) {
            rest = (static_cast<std::uint64_t>(*digit - '0') * unit.nanoseconds + rest) / 10;
        }
        const auto total = count * unit.nanoseconds;
        if (rest > longest - total) return std::nullopt;
        return Duration{static_cast<Duration::rep>(total + rest)};
    }
    return std::nullopt;
}

std::string format_duration(Duration duration) {
    if (duration == Duration::zero()) return "0s";
    const bool negative = duration < Duration::zero();
    // Unsigned, because the most negative duration has no positive counterpart.
    const auto amount =
        negative ? 0 - static_cast<std::uint64_t>(duration.count()) : static_cast<std::uint64_t>(duration.count());
    std::string shortest;
    for (const auto& unit : units) {
        if (amount < unit.nanoseconds) continue;
        auto text = std::to_string(amount / unit.nanoseconds);
        auto rest = amount % unit.nanoseconds;
        if (rest != 0) text += '.';
        constexpr int most_digits = 20;
        for (int digits = 0; rest != 0 && digits < most_digits; ++digits) {
            rest *= 10;
            text += static_cast<char>('0' + rest / unit.nanoseconds);
            rest %= unit.nanoseconds;
        }
        if (rest != 0) continue;  // thirds of a minute have no exact decimal form
        text += unit.name;
        if (shortest.empty() || text.size() < shortest.size()) shortest = std::move(text);
    }
    return negative ? "-" + shortest : shortest;
}

}  // namespace fusebox
