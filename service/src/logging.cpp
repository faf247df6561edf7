#include "logging.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fusebox/incidents/types.hpp>
#include <fusebox/text/printable.hpp>
#include <fusebox/text/rfc3339.hpp>

#include "log_writer.hpp"

namespace fusebox::service {
namespace {

std::atomic<bool> as_json{false};
std::atomic<Level> least{Level::info};

incidents::WallTime now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

/// Gives up where standard error is closed: there is nowhere to complain.
void write_to_standard_error(std::string_view lines) {
    while (!lines.empty()) {
        const auto count = ::write(STDERR_FILENO, lines.data(), lines.size());
        if (count >= 0) {
            lines.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {  // somebody has made it non-blocking
            pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
            ::poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

/// Made by the first line and never destroyed: at the end of the process a thread may still be stuck in a write that
/// nobody reads.
LogWriter& writer() {
    static LogWriter& instance =
        *std::make_unique<LogWriter>(LogWriterOptions{
                                         .sink = write_to_standard_error,
                                         .describe_dropped =
                                             [](std::uint64_t count) {
                                                 return format_log_line(as_json, Level::warning, "log_lines_dropped",
                                                                        {{"count", count}}, now());
                                             },
                                     })
             .release();
    return instance;
}

void put(Level level, std::string_view line) { writer().write(line, level >= Level::warning); }

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warning:
            return "warning";
        case Level::error:
            return "error";
    }
    return "error";
}

std::string to_json(std::string_view text) {
    return text::printable(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

/// As it is where that is clear, else between quotes, with what needs it escaped.
std::string plain_or_quoted(std::string_view text) {
    const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '"' && c != '=' &&
               c != '\\';
    });
    if (plain) return std::string{text};
    std::string inside;
    for (const char c : text) {
        if (c == '"' || c == '\\') inside += '\\';
        inside += c;
    }
    return '"' + text::printable(inside) + '"';
}

}  // namespace

void configure_log(const LogConfig& config) {
    as_json = config.json;
    least = config.level == "debug"     ? Level::debug
            : config.level == "warning" ? Level::warning
            : config.level == "error"   ? Level::error
                                        : Level::info;
}

bool log_enabled(Level level) noexcept { return level >= least.load(); }

bool flush_log(std::chrono::milliseconds patience) { return writer().flush(patience); }

std::uint64_t dropped_log_lines() { return writer().dropped(); }

std::string format_log_line(bool json, Level level, std::string_view event, LogFields fields, incidents::WallTime at) {
    const auto time = text::to_rfc3339(at);
    if (!json) {
        std::string line = fmt::format("{} {} {}", time, name_of(level), event);
        for (const auto& field : fields) line += fmt::format(" {}={}", field.key, plain_or_quoted(field.value));
        return line;
    }
    std::string line = fmt::format(R"({{"time":"{}","level":"{}","event":{})", time, name_of(level), to_json(event));
    for (const auto& field : fields) {
        line += fmt::format(",{}:{}", to_json(field.key), field.is_number ? field.value : to_json(field.value));
    }
    return line + "}";
}

void log(Level level, std::string_view event, LogFields fields) {
    if (log_enabled(level)) put(level, format_log_line(as_json, level, event, fields, now()));
}

void log_line(Level level, std::string_view line) {
    if (!log_enabled(level)) return;
    if (as_json) {
        const auto event_end = std::min(line.find(' '), line.size());
        log(level, line.substr(0, event_end), {{"text", line.substr(std::min(event_end + 1, line.size()))}});
        return;
    }
    put(level, fmt::format("{} {} {}", text::to_rfc3339(now()), name_of(level), text::printable(line)));
}

}  // namespace fusebox::service
