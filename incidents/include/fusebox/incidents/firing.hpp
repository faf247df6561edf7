// The firings of one alert: which are active, which message is news.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <fusebox/incidents/alert.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

/// One stretch of time in which an alert fires, named by its start. Two Prometheus replicas that started a minute apart
/// tell of the same alert as two firings; two that evaluate at the same instants tell of it as one.
struct Firing {
    WallTime starts_at{};                    ///< as the source gave it
    WallTime first_seen{};                   ///< when its first message came
    std::optional<WallTime> ends_at{};       ///< until when its source vouched for it; none: until told otherwise
    std::optional<WallTime> ended_at{};      ///< none: active
    std::optional<WallTime> reported_end{};  ///< the latest end that a source reported; stays when the firing revives
    /// The longest time ahead for which a message vouched; 0: no message did. An `ends_at` minus this time is when the
    /// source made the message, late by the shortest time that a message was under way.
    std::chrono::microseconds lifetime{};
    bool dismissed{};  ///< known when a person resolved the incident: keeps nothing open, reopens nothing

    /// `starts_at`, but not later than `first_seen`: a start in the future comes from a wrong clock.
    [[nodiscard]] WallTime began() const noexcept { return std::min(starts_at, first_seen); }
    [[nodiscard]] bool active() const noexcept { return !ended_at; }
    /// Active and not dismissed: keeps its incident open.
    [[nodiscard]] bool counts() const noexcept { return active() && !dismissed; }
    /// Ended because nobody vouched for it any longer, not because a source reported its end.
    [[nodiscard]] bool expired() const noexcept { return ended_at && (!reported_end || *reported_end < *ended_at); }
    bool operator==(const Firing&) const = default;
};
/// An incident keeps at most so many: ended ones are dropped first, then the oldest.
inline constexpr std::size_t max_firings{16};

/// The firings of an incident, by start, and the start up to which a person has dismissed firings that were not known
/// by then.
struct Firings {
    std::vector<Firing> all;  ///< oldest start first
    std::optional<WallTime> dismissed_until{};

    [[nodiscard]] bool any_counts() const noexcept;
    /// When the last of those that keep the incident open runs out; none where one has no end, or none is active.
    [[nodiscard]] std::optional<WallTime> expires_at() const noexcept;
    /// A person has resolved the incident at `now`: what is known, and what began no later than the newest known,
    /// counts no more.
    void dismiss(WallTime now);
    /// A person has opened the incident again: what still fires at `now` counts again.
    void restore(WallTime now);
    /// Ends what nobody vouches for at `now`. True: something ended.
    bool expire(WallTime now);
    bool operator==(const Firings&) const = default;
};

/// What a message did to the firings.
enum class FiringEffect : std::uint8_t {
    nothing,   ///< late or repeated: nothing to keep
    extended,  ///< a repeat: it vouches for what is active anyway, or is about what does not count
    began,     ///< a firing that was not known
    revived,   ///< a firing that had ended fires again
    ended,     ///< one or several firings that counted ended
};
struct FiringNews {
    FiringEffect effect{};
    WallTime at{};          ///< when the firing began, or the last one ended; never after `now`
    bool speaks_for_all{};  ///< the message is about the newest of the firings that count: the incident shows its texts
};

/// Takes one message in, by the rules F1 … F9 at the head of src/firing.cpp. Only `firings` is changed.
FiringNews take_in(Firings& firings, const Alert& alert, WallTime now);

}  // namespace fusebox::incidents
