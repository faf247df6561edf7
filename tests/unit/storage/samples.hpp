// Incidents, notifications and temporary folders for the tests of stores.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::test {

using namespace fusebox::incidents;
using namespace std::chrono_literals;

/// 2026-01-01T00:00:00Z; no test looks at the real calendar.
inline constexpr WallTime start{std::chrono::seconds{1'767'225'600}};

inline Incident incident(std::string id, std::string fingerprint, WallTime created_at = start) {
    Incident made;
    made.id = std::move(id);
    made.title = "Model server answers slowly";
    made.severity = Severity::p1;
    made.labels = {{"alertname", "SlowModel"}, {"team", "llm"}};
    made.annotations = {{"summary", "p99 above 5 s"}};
    made.source = "prometheus";
    made.fingerprint = std::move(fingerprint);
    made.created_at = created_at;
    made.updated_at = created_at;
    made.alert_starts_at = created_at - 30s;
    made.alert_count = 1;
    made.timeline = {{.at = created_at, .kind = "created", .actor = "alert:prometheus", .detail = "SlowModel fires"}};
    return made;
}

inline NotificationDraft draft(std::string id, std::string incident_id, std::string destination = "hook",
                               WallTime created_at = start) {
    return {.id = std::move(id),
            .incident_id = std::move(incident_id),
            .destination = std::move(destination),
            .kind = "incident.triggered",
            .severity = Severity::p1,
            .payload = R"({"id": "inc"})",
            .created_at = created_at,
            .fallback_for = {}};
}

inline DeliveryError delivery_error() {
    return {.next_move = NextMove::retry,
            .counts_as_failure = true,
            .error_class = "http_5xx",
            .message = "the server answered 503",
            .status = 503,
            .retry_after = 1500ms,
            .disable_destination = false};
}

inline DeliveryResult delivered(WallTime at) {
    return {.kind = DeliveryResult::Kind::delivered, .at = at, .next_attempt_at = {}, .error = {}, .took = 12ms};
}
inline DeliveryResult retry(WallTime at, WallTime next) {
    return {
        .kind = DeliveryResult::Kind::retry, .at = at, .next_attempt_at = next, .error = delivery_error(), .took = 7ms};
}
inline DeliveryResult defer(WallTime at, WallTime next) {
    return {.kind = DeliveryResult::Kind::defer, .at = at, .next_attempt_at = next, .error = {}, .took = 0ms};
}
inline DeliveryResult dead(WallTime at) {
    return {
        .kind = DeliveryResult::Kind::dead, .at = at, .next_attempt_at = {}, .error = delivery_error(), .took = 7ms};
}

/// A folder of its own, gone with everything in it when the test ends.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "fusebox-XXXXXX").string();
        if (!::mkdtemp(pattern.data()))
            throw std::filesystem::filesystem_error{"mkdtemp", std::error_code{errno, std::generic_category()}};
        path_ = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace fusebox::test
