#include "breaker_entry.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include <fusebox/core/presets.hpp>

namespace fusebox {
namespace {

using Config = CircuitBreakerConfig;

/// The value as the reader of a message should recognise it.
std::string shown(const toml::node& node) {
    if (const auto* text = node.as_string()) {
        const auto& value = text->get();
        std::size_t most = 60;
        if (value.size() <= most) return fmt::format("\"{}\"", value);
        while ((static_cast<unsigned char>(value[most]) & 0xc0) == 0x80) --most;  // not within a code point
        return fmt::format("\"{}…\"", value.substr(0, most));
    }
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    if (node.is_table()) return "a table";
    if (node.is_array()) return "an array";
    return "a date or time";
}

/// One key of a table while it is read.
class Value {
public:
    Value(std::string_view field, std::string path, std::size_t line, const toml::node& node, BreakerEntry& entry,
          std::vector<ConfigMistake>& mistakes)
        : field_(field), path_(std::move(path)), line_(line), node_(node), entry_(entry), mistakes_(mistakes) {}

    [[nodiscard]] const toml::node& node() const { return node_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string_view field() const { return field_; }
    [[nodiscard]] BreakerEntry& entry() const { return entry_; }
    [[nodiscard]] std::vector<ConfigMistake>& mistakes() const { return mistakes_; }
    [[nodiscard]] Reference reference(std::string value) const { return {std::move(value), path_, line_}; }

    void set(std::function<void(Config&)> apply) const { set(field_, std::move(apply)); }
    void set(std::string_view field, std::function<void(Config&)> apply) const {
        entry_.settings.push_back({std::string{field}, path_, line_, std::move(apply)});
    }
    void reject(std::string_view wanted) const {
        entry_.rejected.emplace_back(field_);
        mistakes_.push_back({line_, path_, fmt::format("is {}, must be {}", shown(node_), wanted)});
    }

    [[nodiscard]] std::optional<bool> flag() const {
        if (const auto* value = node_.as_boolean()) return value->get();
        reject("true or false");
        return std::nullopt;
    }
    [[nodiscard]] std::optional<std::uint32_t> whole_number(std::uint32_t least) const {
        constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
        const auto* value = node_.as_integer();
        if (value && value->get() >= least && value->get() <= most) return static_cast<std::uint32_t>(value->get());
        reject(fmt::format("a whole number from {} to {}", least, most));
        return std::nullopt;
    }
    /// Any finite number; the range is the breaker's own to judge.
    [[nodiscard]] std::optional<double> number() const {
        const auto value = node_.value<double>();
        if (node_.is_number() && value && std::isfinite(*value)) return value;
        reject("a number");
        return std::nullopt;
    }
    [[nodiscard]] std::optional<std::string_view> text() const {
        if (const auto* value = node_.as_string()) return value->get();
        return std::nullopt;
    }
    [[nodiscard]] bool is_off() const { return text() == "off"; }
    [[nodiscard]] std::optional<Duration> duration(std::string_view wanted) const {
        if (const auto value = text()) {
            if (const auto parsed = parse_duration(*value)) return parsed;
        }
        reject(wanted);
        return std::nullopt;
    }
    /// A bare number of `unit`s, where the key says the unit.
    [[nodiscard]] std::optional<Duration> count_of(Duration unit, std::string_view unit_name) const {
        const auto value = node_.value<double>();
        if (node_.is_number() && value && *value >= 0) {
            const auto nanoseconds = *value * static_cast<double>(unit.count());
            // 2^63 as a double: the first value that a duration cannot hold.
            if (nanoseconds < 9223372036854775808.0) return Duration{std::llround(nanoseconds)};
        }
        reject(fmt::format("a number of {}", unit_name));
        return std::nullopt;
    }

private:
    std::string_view field_;
    std::string path_;
    std::size_t line_;
    const toml::node& node_;
    BreakerEntry& entry_;
    std::vector<ConfigMistake>& mistakes_;
};

using Read = void (*)(const Value&);
struct Key {
    std::string_view name;
    std::string_view field;  ///< canonical
    Read read;
};

void read_keys(const toml::table& table, std::string_view path, std::span<const Key> keys, BreakerEntry& entry,
               std::vector<ConfigMistake>& mistakes);

// ---- kinds of values; `access` gives the place in the configuration ----

template <auto access>
void flag(const Value& value) {
    if (const auto on = value.flag()) value.set([on = *on](Config& config) { std::invoke(access, config) = on; });
}

template <auto access, std::uint32_t least>
void whole(const Value& value) {
    if (const auto count = value.whole_number(least)) {
        value.set([count = *count](Config& config) { std::invoke(access, config) = count; });
    }
}

template <auto access>
void number(const Value& value) {
    if (const auto ratio = value.number()) {
        value.set([ratio = *ratio](Config& config) { std::invoke(access, config) = ratio; });
    }
}

/// A threshold whose 0 means off, and that says so.
template <auto access, Read otherwise>
void threshold(const Value& value) {
    if (!value.is_off()) return otherwise(value);
    value.set([](Config& config) { std::invoke(access, config) = 0; });
}

template <auto access>
void duration(const Value& value) {
    if (const auto length = value.duration("a duration such as \"30s\" or \"250ms\"")) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

template <auto access>
void duration_or_off(const Value& value) {
    if (value.is_off()) return value.set([](Config& config) { std::invoke(access, config) = std::nullopt; });
    if (const auto length = value.duration("a duration such as \"30s\" or \"250ms\", or \"off\"")) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

template <auto access>
void seconds(const Value& value) {
    if (const auto length = value.count_of(std::chrono::seconds{1}, "seconds")) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

template <auto access>
void milliseconds(const Value& value) {
    if (const auto length = value.count_of(std::chrono::milliseconds{1}, "milliseconds")) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

// ---- the window ----

TimeWindow& time_window(Config& config) {
    auto* window = std::get_if<TimeWindow>(&config.window);
    return window ? *window : config.window.emplace<TimeWindow>();
}
constexpr auto window_duration = [](Config& config) -> Duration& { return time_window(config).duration; };
constexpr auto window_slices = [](Config& config) -> std::uint32_t& { return time_window(config).slices; };
constexpr auto window_count = [](Config& config) -> std::uint32_t& {
    auto* window = std::get_if<CountWindow>(&config.window);
    return (window ? *window : config.window.emplace<CountWindow>()).size;
};

constexpr std::array window_keys{
    Key{"duration", "window.duration", duration<window_duration>},
    Key{"slices", "window.slices", whole<window_slices, 1>},
    Key{"count", "window.size", whole<window_count, 1>},
};

void window(const Value& value) {
    constexpr auto wanted = "a duration such as \"60s\", { duration = \"60s\", slices = 10 } or { count = 100 }";
    const auto* table = value.node().as_table();
    if (!table) {
        if (const auto length = value.duration(wanted)) {
            value.set("window.duration", [length = *length](Config& config) { window_duration(config) = length; });
        }
        return;
    }
    if (table->empty() || (table->contains("count") && table->size() > 1)) {
        return value.reject(wanted);
    }
    read_keys(*table, value.path(), window_keys, value.entry(), value.mistakes());
}

// ---- the backoff ----

constexpr auto backoff_kind = [](Config& config) -> Backoff::Kind& { return config.backoff.kind; };
constexpr auto backoff_increment = [](Config& config) -> Duration& { return config.backoff.increment; };
constexpr auto backoff_multiplier = [](Config& config) -> double& { return config.backoff.multiplier; };
constexpr auto backoff_cap = [](Config& config) -> Duration& { return config.backoff.max_open_timeout; };
constexpr auto backoff_jitter = [](Config& config) -> double& { return config.backoff.jitter; };

void kind_of_backoff(const Value& value) {
    std::optional<Backoff::Kind> kind;
    if (value.text() == "fixed") kind = Backoff::Kind::fixed;
    if (value.text() == "linear") kind = Backoff::Kind::linear;
    if (value.text() == "exponential") kind = Backoff::Kind::exponential;
    if (!kind) return value.reject("\"fixed\", \"linear\" or \"exponential\"");
    value.set("backoff.kind", [kind = *kind](Config& config) { backoff_kind(config) = kind; });
}

void enable_exponential(const Value& value) {
    if (const auto on = value.flag()) {
        value.set([kind = *on ? Backoff::Kind::exponential : Backoff::Kind::fixed](Config& config) {
            backoff_kind(config) = kind;
        });
    }
}

constexpr std::array backoff_keys{
    Key{"kind", "backoff.kind", kind_of_backoff},
    Key{"increment", "backoff.increment", duration<backoff_increment>},
    Key{"multiplier", "backoff.multiplier", number<backoff_multiplier>},
    Key{"max_open_timeout", "backoff.max_open_timeout", duration<backoff_cap>},
    Key{"jitter", "backoff.jitter", number<backoff_jitter>},
};

void backoff(const Value& value) {
    const auto* table = value.node().as_table();
    if (!table) return kind_of_backoff(value);
    read_keys(*table, value.path(), backoff_keys, value.entry(), value.mistakes());
}

// ---- half-open ----

HalfOpenRate& half_open_rate(Config& config) {
    return config.half_open_rate ? *config.half_open_rate : config.half_open_rate.emplace();
}
constexpr auto minimum_probes = [](Config& config) -> std::uint32_t& { return half_open_rate(config).minimum_probes; };
constexpr auto success_rate = [](Config& config) -> double& { return half_open_rate(config).success_rate; };

constexpr std::array half_open_keys{
    Key{"minimum_probes", "half_open_rate.minimum_probes", whole<minimum_probes, 1>},
    Key{"success_rate", "half_open_rate.success_rate", number<success_rate>},
};

void half_open_mode(const Value& value) {
    if (value.text() == "strict") return value.set([](Config& config) { config.half_open_rate.reset(); });
    const auto* table = value.node().as_table();
    if (!table) return value.reject("\"strict\" or { minimum_probes = 5, success_rate = 0.6 }");
    value.set([](Config& config) { half_open_rate(config); });
    read_keys(*table, value.path(), half_open_keys, value.entry(), value.mistakes());
}

void half_open_strict_mode(const Value& value) {
    if (const auto strict = value.flag()) {
        value.set([strict = *strict](Config& config) {
            if (strict) {
                config.half_open_rate.reset();
            } else {
                half_open_rate(config);
            }
        });
    }
}

// ---- what an entry says beside its fields ----

void preset_name(const Value& value) {
    const auto names = preset_names();
    if (const auto name = value.text(); name && preset(*name)) {
        value.entry().preset = value.reference(std::string{*name});
    } else {
        value.reject(fmt::format("one of the presets {}{}", fmt::join(names, ", "),
                                 name ? suggestion(*name, names) : std::string{}));
    }
}

void inherits(const Value& value) {
    if (const auto name = value.text()) {
        value.entry().inherits = value.reference(std::string{*name});
    } else {
        value.reject("the name of another entry");
    }
}

void criticality(const Value& value) {
    const auto text = value.text();
    value.entry().criticality = text ? criticality_from_string(*text) : std::nullopt;
    if (!value.entry().criticality) value.reject("\"critical\", \"degraded\" or \"optional\"");
}

/// Some systems count failures in a row under this name, others mean a rate: the kind of number tells them apart.
void failure_threshold(const Value& value) {
    if (value.node().is_integer()) {
        if (const auto count = value.whole_number(0)) {
            value.set("consecutive_failure_threshold",
                      [count = *count](Config& config) { config.consecutive_failure_threshold = count; });
        }
        return;
    }
    const auto* rate = value.node().as_floating_point();
    if (!rate || !(rate->get() > 0 && rate->get() <= 1)) {
        return value.reject("a whole number (failures in a row) or a fraction in (0, 1] (failure rate)");
    }
    value.set("failure_rate_threshold", [rate = rate->get()](Config& config) { config.failure_rate_threshold = rate; });
}

/// In the order in which they apply. A key whose name is not its field is the name that another system has for it.
constexpr std::array entry_keys{
    Key{"preset", "preset", preset_name},
    Key{"inherits", "inherits", inherits},
    Key{"criticality", "criticality", criticality},

    Key{"enabled", "enabled", flag<&Config::enabled>},
    Key{"consecutive_failure_threshold", "consecutive_failure_threshold",
        threshold<&Config::consecutive_failure_threshold, whole<&Config::consecutive_failure_threshold, 0>>},
    Key{"failure_threshold", "failure_threshold", failure_threshold},
    Key{"failure_rate_threshold", "failure_rate_threshold",
        threshold<&Config::failure_rate_threshold, number<&Config::failure_rate_threshold>>},
    Key{"slow_call_duration_threshold", "slow_call_duration_threshold",
        duration_or_off<&Config::slow_call_duration_threshold>},
    Key{"slow_call_rate_threshold", "slow_call_rate_threshold", number<&Config::slow_call_rate_threshold>},
    Key{"minimum_requests", "minimum_requests", whole<&Config::minimum_requests, 1>},
    Key{"minimum_request_threshold", "minimum_requests", whole<&Config::minimum_requests, 1>},

    Key{"window", "window", window},
    Key{"window_duration", "window.duration", duration<window_duration>},
    Key{"window_duration_secs", "window.duration", seconds<window_duration>},
    Key{"failure_window_seconds", "window.duration", seconds<window_duration>},
    Key{"sample_size", "window.size", whole<window_count, 1>},

    Key{"open_timeout", "open_timeout", duration<&Config::open_timeout>},
    Key{"open_timeout_ms", "open_timeout", milliseconds<&Config::open_timeout>},
    Key{"recovery_timeout_seconds", "open_timeout", seconds<&Config::open_timeout>},
    Key{"timeout_duration", "open_timeout", duration<&Config::open_timeout>},
    Key{"timeout_duration_secs", "open_timeout", seconds<&Config::open_timeout>},

    Key{"backoff", "backoff", backoff},
    Key{"enable_exponential_backoff", "backoff.kind", enable_exponential},
    Key{"backoff_multiplier", "backoff.multiplier", number<backoff_multiplier>},
    Key{"max_backoff_duration", "backoff.max_open_timeout", duration<backoff_cap>},

    Key{"half_open_max_concurrent", "half_open_max_concurrent", whole<&Config::half_open_max_concurrent, 1>},
    Key{"half_open_max_requests", "half_open_max_concurrent", whole<&Config::half_open_max_concurrent, 1>},
    Key{"success_threshold", "success_threshold", whole<&Config::success_threshold, 1>},
    Key{"half_open_success_threshold", "success_threshold", whole<&Config::success_threshold, 1>},
    Key{"half_open_mode", "half_open_rate", half_open_mode},
    Key{"half_open_minimum_probes", "half_open_rate.minimum_probes", whole<minimum_probes, 1>},
    Key{"half_open_success_rate", "half_open_rate.success_rate", number<success_rate>},
    // Last of its kind: strict makes the two before it idle.
    Key{"half_open_strict_mode", "half_open_rate.strict", half_open_strict_mode},

    Key{"probe_lease", "probe_lease", duration<&Config::probe_lease>},
    Key{"operation_timeout", "operation_timeout", duration_or_off<&Config::operation_timeout>},
    Key{"operation_timeout_seconds", "operation_timeout", seconds<&Config::operation_timeout>},
    Key{"request_timeout", "operation_timeout", duration_or_off<&Config::operation_timeout>},
    Key{"count_timeout_as_failure", "count_timeout_as_failure", flag<&Config::count_timeout_as_failure>},
    Key{"hung_call_threshold", "hung_call_threshold", duration_or_off<&Config::hung_call_threshold>},
    Key{"measure_duration", "measure_duration", flag<&Config::measure_duration>},
};

void read_keys(const toml::table& table, std::string_view path, std::span<const Key> keys, BreakerEntry& entry,
               std::vector<ConfigMistake>& mistakes) {
    for (const auto& [key, node] : table) {
        const auto known = std::ranges::find(keys, key.str(), &Key::name);
        if (known != keys.end()) continue;
        std::vector<std::string_view> names;
        for (const auto& candidate : keys) names.push_back(candidate.name);
        mistakes.push_back({key.source().begin.line, fmt::format("{}.{}", path, path_part(key.str())),
                            "is not a known key" + suggestion(key.str(), names)});
    }
    for (const auto& key : keys) {
        const auto found = table.find(key.name);
        if (found == table.end()) continue;
        key.read(Value{key.field, fmt::format("{}.{}", path, key.name), found->first.source().begin.line, found->second,
                       entry, mistakes});
    }
}

bool overlap(std::string_view left, std::string_view right) {
    if (left.size() > right.size()) std::swap(left, right);
    return right.starts_with(left) && (right.size() == left.size() || right[left.size()] == '.');
}

/// Both kinds of window at once contradict each other, whatever their names.
bool contradict(const Setting& left, const Setting& right) {
    if (overlap(left.field, right.field)) return true;
    const auto is_count = [](const Setting& setting) { return setting.field == "window.size"; };
    return overlap("window", left.field) && overlap("window", right.field) && is_count(left) != is_count(right);
}

/// A field under two names, or under one name twice over, is a mistake even where both agree.
void reject_doubles(const BreakerEntry& entry, std::vector<ConfigMistake>& mistakes) {
    const auto root = [&](const Setting& setting) {
        const auto key = std::string_view{setting.written}.substr(entry.path.size() + 1);
        return key.substr(0, key.find('.'));
    };
    for (std::size_t second = 0; second < entry.settings.size(); ++second) {
        for (std::size_t first = 0; first < second; ++first) {
            const auto* earlier = &entry.settings[first];
            const auto* later = &entry.settings[second];
            if (root(*earlier) == root(*later) || !contradict(*earlier, *later)) continue;
            if (earlier->line > later->line) std::swap(earlier, later);
            mistakes.push_back(
                {later->line, later->written,
                 fmt::format("says the same as `{}` in line {}; give one of them", root(*earlier), earlier->line)});
            break;
        }
    }
}

}  // namespace

std::string path_part(std::string_view name) {
    const auto is_bare = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    if (!name.empty() && std::ranges::all_of(name, is_bare)) return std::string{name};
    return fmt::format("\"{}\"", name);
}

std::size_t spelling_distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < left.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < right.size(); ++j) {
            const auto replaced = diagonal + (left[i] == right[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

BreakerEntry read_breaker_entry(const toml::table& table, std::string path, std::vector<ConfigMistake>& mistakes) {
    BreakerEntry entry;
    entry.path = std::move(path);
    entry.line = table.source().begin.line;
    read_keys(table, entry.path, entry_keys, entry, mistakes);
    reject_doubles(entry, mistakes);
    return entry;
}

}  // namespace fusebox
