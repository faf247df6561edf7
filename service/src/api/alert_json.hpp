// From the three JSON inputs to alerts, or to a problem that names what is wrong.
#pragma once

#include <array>
#include <cstdint>
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
    static constexpr std::size_t annotation = 16384;  ///< longer ones are cut, and say so
    static constexpr std::size_t alerts = 10'000;     ///< in one body: they are stored in one transaction
};

template <class T>
using Parsed = std::expected<T, middleware::Problem>;

/// Why an alert was refused.
enum class RejectReason : std::uint8_t { shape, labels, annotations, times, text };
[[nodiscard]] std::string_view to_string(RejectReason reason) noexcept;
inline constexpr std::size_t reject_reasons{5};
/// By the first field of an alert that is wrong; empty: the alert as a whole.
[[nodiscard]] RejectReason reason_of(std::string_view field) noexcept;

/// The alerts of one body: those that are valid, and what is wrong with the others.
struct AlertBatch {
    std::vector<incidents::Alert> alerts;
    std::uint64_t truncated{};                             ///< alerts that the sender left out of the body
    std::array<std::uint64_t, reject_reasons> rejected{};  ///< alerts, by `RejectReason`
    std::vector<middleware::FieldError> errors;            ///< of the first alerts that were refused, by their index

    [[nodiscard]] std::uint64_t total_rejected() const noexcept;
};
/// 400 that names the refused alerts of a batch with any.
[[nodiscard]] middleware::Problem rejection_problem(AlertBatch batch);

/// `POST /v1/alerts`. `now` stands for times that are not given, and decides whether an end has passed.
[[nodiscard]] Parsed<incidents::Alert> parse_native_alert(std::string_view body, incidents::WallTime now);
/// `POST /api/v2/alerts`: an array, as Prometheus sends it. Unknown fields are ignored.
[[nodiscard]] Parsed<AlertBatch> parse_alertmanager_alerts(std::string_view body, incidents::WallTime now);
/// `POST /v1/webhooks/alertmanager`: Alertmanager's version 4 and Grafana's version 1, and older ones that leave fields
/// out. Unknown fields are ignored.
[[nodiscard]] Parsed<AlertBatch> parse_alertmanager_webhook(std::string_view body, incidents::WallTime now);

}  // namespace fusebox::service
