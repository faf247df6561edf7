// From the three JSON inputs to alerts, or to a problem that names every wrong field.
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include <fusebox/incidents/alert.hpp>
#include <fusebox/middleware/problem.hpp>

namespace fusebox::service {

/// How much of an alert is kept. Sizes are in bytes.
struct AlertLimits {
    static constexpr std::size_t title = 1024;
    static constexpr std::size_t source = 256;
    static constexpr std::size_t labels = 64;  ///< of labels, and of annotations
    static constexpr std::size_t label_name = 256;
    static constexpr std::size_t label_value = 4096;
    static constexpr std::size_t annotation = 16384;
    static constexpr std::size_t alerts = 10'000;  ///< in one body: they are stored in one transaction
    static constexpr std::size_t errors = 20;      ///< named in one answer
};

template <class T>
using Parsed = std::expected<T, middleware::Problem>;

/// `POST /v1/alerts`. `now` stands for times that are not given, and decides whether an end has passed.
[[nodiscard]] Parsed<incidents::Alert> parse_native_alert(std::string_view body, incidents::WallTime now);
/// `POST /api/v2/alerts`: an array, as Prometheus sends it. Unknown fields are ignored.
[[nodiscard]] Parsed<std::vector<incidents::Alert>> parse_alertmanager_alerts(std::string_view body,
                                                                              incidents::WallTime now);
/// `POST /v1/webhooks/alertmanager`: version 4, and older ones that leave fields out. Unknown fields are ignored.
[[nodiscard]] Parsed<std::vector<incidents::Alert>> parse_alertmanager_webhook(std::string_view body,
                                                                               incidents::WallTime now);

}  // namespace fusebox::service
