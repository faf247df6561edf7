// The service's log: one line per event, machine-readable, on standard error. A thread of its own writes the lines, so
// that whoever logs never waits for standard error.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace fusebox::service {

enum class Level { debug, info, warning, error };

/// One key and its value. Text is quoted and escaped where it must be, so that no value can forge a line or steer the
/// terminal that shows it.
struct LogField {
    std::string_view key;
    std::string value;
    bool is_number{};

    LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
    LogField(std::string_view name, const char* text) : key(name), value(text) {}
    LogField(std::string_view name, const std::string& text) : key(name), value(text) {}
    template <std::integral T>
    LogField(std::string_view name, T number) : key(name), value(std::to_string(number)), is_number(true) {}
};
using LogFields = std::initializer_list<LogField>;

/// Takes effect for all threads; may be called again.
void configure_log(const LogConfig& config);
/// `2026-01-01T00:00:00.123Z info breaker_transition name=store from=closed to=open`, or the same as one JSON object.
/// Thread-safe. Never give it a secret.
void log(Level level, std::string_view event, LogFields fields = {});
/// A line that somebody else has formatted, as an event and key=value pairs.
void log_line(Level level, std::string_view line);
[[nodiscard]] bool log_enabled(Level level) noexcept;
/// Before the process ends: waits until all lines so far are written. False if that takes longer than `patience`.
bool flush_log(std::chrono::milliseconds patience);
/// Lines that found no room, because nobody read them in time.
[[nodiscard]] std::uint64_t dropped_log_lines();

/// The line without its end; apart from `log` for tests.
[[nodiscard]] std::string format_log_line(bool json, Level level, std::string_view event, LogFields fields,
                                          incidents::WallTime at);

}  // namespace fusebox::service
