// The text form of saved breakers.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/registry/state_store.hpp>
#include <fusebox/text/utf8.hpp>

namespace fusebox {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view format_name = "fusebox breaker state";
constexpr std::uint64_t version = 1;

constexpr std::array reasons{TransitionReason::consecutive_failures,
                             TransitionReason::failure_rate,
                             TransitionReason::slow_call_rate,
                             TransitionReason::open_timeout_elapsed,
                             TransitionReason::probe_failed,
                             TransitionReason::probe_lease_expired,
                             TransitionReason::probe_success_rate,
                             TransitionReason::success_threshold_met,
                             TransitionReason::operator_request,
                             TransitionReason::configuration,
                             TransitionReason::restored};

constexpr std::array states{State::closed,      State::open,     State::half_open,
                            State::forced_open, State::disabled, State::metrics_only};
constexpr std::array outcomes{Outcome::success, Outcome::failure, Outcome::timeout, Outcome::ignored,
                              Outcome::abandoned};

// ---- writing ----

/// JSON is UTF-8; what is not stands as an array of its bytes.
Json text_json(std::string_view text) {
    if (text::is_utf8(text)) return text;
    Json bytes = Json::array();
    for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
    return bytes;
}

Json outcome_json(const OutcomeRecord& record) {
    return {{"age_ns", record.age.count()},         {"duration_ns", record.duration.count()},
            {"outcome", to_string(record.outcome)}, {"slow", record.slow},
            {"message", text_json(record.message)}, {"trace_id", text_json(record.trace_id)}};
}

Json report_json(const TransitionReport& report) {
    Json last_outcomes = Json::array();
    for (const auto& record : report.last_outcomes) last_outcomes.push_back(outcome_json(record));
    return {{"sequence", report.sequence},
            {"from", to_string(report.from)},
            {"to", to_string(report.to)},
            {"reason", to_string(report.reason)},
            {"threshold", report.threshold},
            {"observed", report.observed},
            {"window_total", report.window.total},
            {"window_failures", report.window.failures},
            {"window_slow", report.window.slow},
            {"consecutive_failures", report.consecutive_failures},
            {"open_for_ns", report.open_for.count()},
            {"attempt", report.attempt},
            {"config_version", report.config_version},
            {"wall_time_us", report.wall_time.time_since_epoch().count()},
            {"actor", text_json(report.actor)},
            {"note", text_json(report.note)},
            {"last_outcomes", std::move(last_outcomes)}};
}

Json breaker_json(const std::string& name, const BreakerSnapshot& snapshot) {
    Json reports = Json::array();
    for (const auto& report : snapshot.reports) reports.push_back(report_json(report));
    return {{"name", text_json(name)},
            {"state", to_string(snapshot.state)},
            {"time_left_ns", snapshot.time_left.count()},
            {"attempt", snapshot.attempt},
            {"trip_count", snapshot.trip_count},
            {"generation", snapshot.generation},
            {"taken_at_us", snapshot.taken_at.time_since_epoch().count()},
            {"last_trip", snapshot.last_trip ? report_json(*snapshot.last_trip) : Json{}},
            {"reports", std::move(reports)}};
}

// ---- reading ----

struct Mistake {
    std::string field;
    std::string message;
};

std::string shown(const Json& value) {
    constexpr std::size_t most = 60;
    if (value.is_object()) return "an object";
    if (value.is_array()) return "an array";
    auto text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > most) text = text.substr(0, most) + "…";
    return text;
}

/// One value with the path to it. Its members throw `Mistake`.
class Reader {
public:
    Reader(const Json& value, std::string path) : value_(value), path_(std::move(path)) {}

    [[noreturn]] void fail(std::string_view wanted) const {
        throw Mistake{path_, fmt::format("is {}, must be {}", shown(value_), wanted)};
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] bool is_null() const { return value_.is_null(); }

    [[nodiscard]] Reader operator[](std::string_view key) const {
        if (!value_.is_object()) fail("an object");
        const auto path = path_.empty() ? std::string{key} : fmt::format("{}.{}", path_, key);
        const auto found = value_.find(key);
        if (found == value_.end()) throw Mistake{path, "is missing"};
        return {*found, path};
    }
    /// Calls `each(Reader)` for the elements.
    template <class Each>
    void elements(Each each) const {
        if (!value_.is_array()) fail("an array");
        for (std::size_t i = 0; i < value_.size(); ++i) each(Reader{value_[i], fmt::format("{}[{}]", path_, i)});
    }

    template <class Number>
    [[nodiscard]] Number whole() const {
        using Limits = std::numeric_limits<Number>;
        if (value_.is_number_unsigned()) {
            const auto number = value_.get<std::uint64_t>();
            if (number <= static_cast<std::uint64_t>(Limits::max())) return static_cast<Number>(number);
        } else if (value_.is_number_integer() && std::is_signed_v<Number>) {
            return static_cast<Number>(value_.get<std::int64_t>());  // every signed one is an int64_t
        }
        fail(fmt::format("a whole number from {} to {}", Limits::min(), Limits::max()));
    }
    [[nodiscard]] double number() const {
        if (!value_.is_number()) fail("a number");
        return value_.get<double>();
    }
    [[nodiscard]] std::string text() const {
        if (value_.is_string()) return value_.get<std::string>();
        std::string bytes;
        if (!value_.is_array()) fail("a text");
        elements([&](const Reader& byte) { bytes += static_cast<char>(byte.whole<std::uint8_t>()); });
        return bytes;
    }
    [[nodiscard]] Duration nanoseconds() const { return Duration{whole<Duration::rep>()}; }
    [[nodiscard]] WallTime microseconds() const { return WallTime{WallTime::duration{whole<WallTime::rep>()}}; }
    [[nodiscard]] State state() const { return one_of(states, "a state such as \"open\""); }
    [[nodiscard]] TransitionReason reason() const { return one_of(reasons, "a reason such as \"failure_rate\""); }
    [[nodiscard]] Outcome outcome() const { return one_of(outcomes, "an outcome such as \"failure\""); }
    [[nodiscard]] bool flag() const {
        if (!value_.is_boolean()) fail("true or false");
        return value_.get<bool>();
    }

private:
    template <class Enum, std::size_t count>
    [[nodiscard]] Enum one_of(const std::array<Enum, count>& values, std::string_view wanted) const {
        if (const auto* text = value_.get_ptr<const std::string*>()) {
            for (const auto value : values) {
                if (to_string(value) == *text) return value;
            }
        }
        fail(wanted);
    }

    const Json& value_;
    std::string path_;
};

TransitionReport read_report(const Reader& in) {
    TransitionReport report;
    report.sequence = in["sequence"].whole<std::uint64_t>();
    report.from = in["from"].state();
    report.to = in["to"].state();
    report.reason = in["reason"].reason();
    report.threshold = in["threshold"].number();
    report.observed = in["observed"].number();
    report.window.total = in["window_total"].whole<std::uint64_t>();
    report.window.failures = in["window_failures"].whole<std::uint64_t>();
    report.window.slow = in["window_slow"].whole<std::uint64_t>();
    report.consecutive_failures = in["consecutive_failures"].whole<std::uint32_t>();
    report.open_for = in["open_for_ns"].nanoseconds();
    report.attempt = in["attempt"].whole<std::uint32_t>();
    report.config_version = in["config_version"].whole<std::uint64_t>();
    report.wall_time = in["wall_time_us"].microseconds();
    report.actor = in["actor"].text();
    report.note = in["note"].text();
    in["last_outcomes"].elements([&](const Reader& last) {
        report.last_outcomes.push_back({.age = last["age_ns"].nanoseconds(),
                                        .duration = last["duration_ns"].nanoseconds(),
                                        .outcome = last["outcome"].outcome(),
                                        .slow = last["slow"].flag(),
                                        .message = last["message"].text(),
                                        .trace_id = last["trace_id"].text()});
    });
    return report;
}

void read_breaker(const Reader& in, SavedBreakers& breakers) {
    const auto name = in["name"].text();
    BreakerSnapshot snapshot;
    snapshot.state = in["state"].state();
    snapshot.time_left = in["time_left_ns"].nanoseconds();
    snapshot.attempt = in["attempt"].whole<std::uint32_t>();
    snapshot.trip_count = in["trip_count"].whole<std::uint64_t>();
    snapshot.generation = in["generation"].whole<std::uint64_t>();
    snapshot.taken_at = in["taken_at_us"].microseconds();
    if (const auto trip = in["last_trip"]; !trip.is_null()) snapshot.last_trip = read_report(trip);
    in["reports"].elements([&](const Reader& report) { snapshot.reports.push_back(read_report(report)); });
    try {
        // Tried out now, so that a part of the file is never taken over before another one is refused.
        CircuitBreaker{name}.restore(snapshot);
    } catch (const InvalidSnapshot& error) {
        throw Mistake{fmt::format("{}.{}", in.path(), error.field()), error.what()};
    } catch (const std::invalid_argument& error) {
        throw Mistake{in.path() + ".name", error.what()};
    }
    if (!breakers.emplace(name, std::move(snapshot)).second) throw Mistake{in.path() + ".name", "was there before"};
}

}  // namespace

std::string format_state(const SavedBreakers& breakers) {
    Json list = Json::array();
    for (const auto& [name, snapshot] : breakers) list.push_back(breaker_json(name, snapshot));
    const Json all{{"format", format_name}, {"version", version}, {"breakers", std::move(list)}};
    return all.dump(1) + "\n";
}

std::expected<SavedBreakers, ConfigMistake> parse_state(std::string_view text) {
    try {
        const auto all = Json::parse(text);
        const Reader in{all, ""};
        if (in["format"].text() != format_name) in["format"].fail(fmt::format("\"{}\"", format_name));
        if (const auto found = in["version"].whole<std::uint64_t>(); found != version) {
            throw Mistake{"version", fmt::format("is {}, this version of fusebox reads {}", found, version)};
        }
        SavedBreakers breakers;
        in["breakers"].elements([&](const Reader& breaker) { read_breaker(breaker, breakers); });
        return breakers;
    } catch (const Json::parse_error& error) {
        const auto read = text.substr(0, std::min(error.byte, text.size()));
        return std::unexpected(ConfigMistake{.line = 1 + static_cast<std::size_t>(std::ranges::count(read, '\n')),
                                             .field = {},
                                             .message = fmt::format("is not JSON: {}", error.what())});
    } catch (const Json::exception& error) {
        return std::unexpected(ConfigMistake{.line = 0, .field = {}, .message = error.what()});
    } catch (const Mistake& mistake) {
        return std::unexpected(ConfigMistake{.line = 0, .field = mistake.field, .message = mistake.message});
    }
}

}  // namespace fusebox
