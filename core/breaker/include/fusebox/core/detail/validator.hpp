// Collects every bad field of a configuration, so that one error can name them all.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/clock.hpp>

#include <fusebox/text/duration.hpp>
#include <fusebox/text/number.hpp>

namespace fusebox::detail {

class Validator {
public:
    // Longer than any sane setting, and far from where `now + duration` would overflow.
    static constexpr Duration longest = std::chrono::hours{24 * 3650};
    static constexpr auto no_limit = std::numeric_limits<std::uint32_t>::max();
    // Of a circuit breaker's configuration.
    static constexpr std::uint32_t most_slices = 60;
    static constexpr std::uint32_t largest_window = 65'536;
    static constexpr std::uint32_t most_probes = 1024;
    // Ranges of durations, as messages say them.
    static constexpr std::string_view above_zero{"above 0 and at most 3650d"};
    static constexpr std::string_view from_zero{"at least 0 and at most 3650d"};
    static constexpr std::string_view up_to_a_day{"at least 1ms and at most 24h"};

    void check(bool good, std::string_view field, const std::string& value, std::string_view range) {
        if (good) return;
        std::string message{"is "};
        message.append(value).append(", must be ").append(range);
        errors_.push_back({std::string{field}, std::move(message)});
    }
    void positive(std::string_view field, Duration value) {
        check(value > Duration::zero() && value <= longest, field, text::format_duration(value), above_zero);
    }
    void positive(std::string_view field, const std::optional<Duration>& value) {
        if (value) positive(field, *value);
    }
    // A NaN fails every comparison, hence every range.
    void rate(std::string_view field, double value, bool zero_is_off) {
        check((value > 0 && value <= 1) || (zero_is_off && value == 0), field, text::format_number(value),
              zero_is_off ? "in (0, 1], or 0 for off" : "in (0, 1]");
    }
    void count(std::string_view field, std::uint32_t value, std::uint32_t low, std::uint32_t high) {
        std::string range{"at least "};
        range.append(std::to_string(low));
        if (high != no_limit) range.append(" and at most ").append(std::to_string(high));
        check(value >= low && value <= high, field, std::to_string(value), range);
    }
    void within(std::string_view field, Duration value, Duration low, Duration high) {
        check(value >= low && value <= high, field, text::format_duration(value),
              between(text::format_duration(low), text::format_duration(high)));
    }
    void within(std::string_view field, double value, double low, double high) {
        check(value >= low && value <= high, field, text::format_number(value),
              between(text::format_number(low), text::format_number(high)));
    }

    [[nodiscard]] std::vector<ConfigError> take_errors() { return std::exchange(errors_, {}); }
    /// Throws `InvalidConfig` where a field was bad. `subject`: what is configured, "retry".
    void finish(std::string_view subject) {
        if (!errors_.empty()) throw InvalidConfig{take_errors(), subject};
    }

private:
    static std::string between(std::string low, const std::string& high) {
        return "at least " + std::move(low) + " and at most " + high;
    }

    std::vector<ConfigError> errors_;
};

}  // namespace fusebox::detail
