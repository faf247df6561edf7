#include "logging.hpp"

#include <algorithm>
#include <atomic>
#include <memory>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <nlohmann/json.hpp>

#include <fusebox/incidents/types.hpp>
#include <fusebox/text/rfc3339.hpp>

namespace fusebox::service {
namespace {

std::atomic<bool> as_json{false};

spdlog::logger& logger() {
    static const auto instance = [] {
        auto made = std::make_shared<spdlog::logger>("incidentd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%v");
        made->flush_on(spdlog::level::debug);
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum spd(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warning:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

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
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// As it is where that is clear, else a JSON string.
std::string plain_or_quoted(std::string_view text) {
    const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '"' && c != '=' &&
               c != '\\';
    });
    return plain ? std::string{text} : to_json(text);
}

incidents::WallTime now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

}  // namespace

void configure_log(const LogConfig& config) {
    as_json = config.json;
    const auto level = config.level == "debug"     ? Level::debug
                       : config.level == "warning" ? Level::warning
                       : config.level == "error"   ? Level::error
                                                   : Level::info;
    logger().set_level(spd(level));
}

bool log_enabled(Level level) noexcept { return logger().should_log(spd(level)); }

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
    if (!log_enabled(level)) return;
    logger().log(spd(level), spdlog::string_view_t{format_log_line(as_json, level, event, fields, now())});
}

void log_line(Level level, std::string_view line) {
    if (!log_enabled(level)) return;
    if (as_json) {
        const auto event_end = std::min(line.find(' '), line.size());
        log(level, line.substr(0, event_end), {{"text", line.substr(std::min(event_end + 1, line.size()))}});
        return;
    }
    logger().log(spd(level),
                 spdlog::string_view_t{fmt::format("{} {} {}", text::to_rfc3339(now()), name_of(level), line)});
}

}  // namespace fusebox::service
