// Small types that the whole domain shares.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace fusebox::incidents {

/// Calendar time, UTC, written by `text::to_rfc3339`. Incidents are about when things happened, not about
/// how long they took.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
/// Ordered, so that two equal sets print and hash alike.
using Labels = std::map<std::string, std::string, std::less<>>;

/// P0 is the worst.
enum class Severity : std::uint8_t { p0, p1, p2, p3, p4 };
/// "P0" … "P4".
[[nodiscard]] std::string_view to_string(Severity severity) noexcept;
/// Accepts "P0" … "P4" and the words that alerts use, in any case: critical, page, emergency, fatal, disaster, sev1
/// are P0; error, high, major, sev2 → P1; warning, medium, sev3 → P2; info, low, sev4 → P3; none, debug, sev5 → P4.
/// Empty for anything else.
[[nodiscard]] std::optional<Severity> severity_from_string(std::string_view text) noexcept;

/// Until when an answer is wanted, handed to every port; an implementation passes it down to its query or transfer.
struct RequestContext {
    std::optional<std::chrono::steady_clock::time_point> deadline{};
    std::stop_token stop{};
    /// A person waits for the answer: stores serve such reads apart from those that intake and delivery need.
    bool for_people{false};
};

/// A new identifier "prefix_" + 26 characters that sort by `now` (48 bits of milliseconds, 80 random bits; Crockford
/// base 32, as ULID). Safe from any thread; the random bits are the kernel's, so no two processes meet either.
[[nodiscard]] std::string new_id(std::string_view prefix, WallTime now);

}  // namespace fusebox::incidents
