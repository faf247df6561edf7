#include <fusebox/incidents/firing.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <random>

#include <fusebox/incidents/incident.hpp>

#include "support/catch.hpp"
#include "unit/incidents/alert_samples.hpp"

namespace fusebox::test {

using namespace incidents;

namespace {

/// How long after its making a firing message of Prometheus vouches.
constexpr auto lifetime = 4min;

/// What a replica sends while its alert fires since `starts_at`.
Alert vouched(WallTime starts_at, WallTime made_at) {
    Alert alert = firing(starts_at);
    alert.ends_at = made_at + lifetime;
    return alert;
}

Alert merged(Alert alert) {
    alert.merged = true;
    return alert;
}

FiringEffect take(Firings& firings, const Alert& alert, WallTime now) { return take_in(firings, alert, now).effect; }

}  // namespace

TEST_CASE("F5: a resolve ends the firing of its own start, and the other replica's goes on") {
    const WallTime a = new_year;
    const WallTime b = new_year + 1min;
    Firings firings;
    CHECK(take(firings, vouched(a, a), a) == FiringEffect::began);
    CHECK(take(firings, vouched(b, b), b) == FiringEffect::began);
    CHECK(take(firings, ended(a, new_year + 10min), new_year + 10min) == FiringEffect::ended);
    CHECK(firings.any_counts());
    CHECK(take(firings, ended(b, new_year + 11min), new_year + 11min) == FiringEffect::ended);
    CHECK_FALSE(firings.any_counts());
    CHECK(take(firings, ended(a, new_year + 10min), new_year + 12min) == FiringEffect::nothing);
}

TEST_CASE("F6: a resolve of a firing that was never seen ends nothing of another replica") {
    Firings firings;
    take(firings, vouched(new_year, new_year), new_year);
    for (const auto start : {new_year - 1min, new_year + 1min}) {
        CHECK(take(firings, ended(start, new_year + 5min), new_year + 5min) == FiringEffect::extended);
        CHECK(firings.any_counts());
        // The message of that firing, under way for long, is no news any more.
        const auto effect = take(firings, vouched(start, new_year + 4min), new_year + 6min);
        CHECK(effect != FiringEffect::began);
        CHECK(effect != FiringEffect::revived);
    }
}

TEST_CASE("F6: what nobody vouches for with an end stays its own firing too") {
    Firings firings;
    CHECK(take(firings, firing(new_year), new_year) == FiringEffect::began);
    CHECK(take(firings, firing(new_year + 1min), new_year + 1min) == FiringEffect::began);
    CHECK(take(firings, ended(new_year, new_year + 5min), new_year + 5min) == FiringEffect::ended);
    CHECK(firings.any_counts());
    CHECK(take(firings, ended(new_year + 1min, new_year + 5min), new_year + 5min) == FiringEffect::ended);
    CHECK_FALSE(firings.any_counts());
}

TEST_CASE("F6: a caller that states the time of sending as the start ends what it has sent before") {
    Firings firings;
    for (int minute = 0; minute < 3; ++minute) {
        const WallTime at = new_year + 1min * minute;
        CHECK(take(firings, firing(at), at) == FiringEffect::began);
    }
    const WallTime at = new_year + 5min;
    CHECK(take(firings, ended(at, at), at) == FiringEffect::ended);
    CHECK_FALSE(firings.any_counts());
}

TEST_CASE("F9: a sender that merges speaks with one voice") {
    Firings firings;
    take(firings, merged(firing(new_year + 1min)), new_year + 1min);
    // Another replica's earlier start came in, and the sender names the alert by that from then on.
    CHECK(take(firings, merged(firing(new_year)), new_year + 2min) == FiringEffect::nothing);
    CHECK(take(firings, merged(ended(new_year, new_year + 30s)), new_year + 3min) == FiringEffect::extended);
    CHECK(firings.any_counts());  // that end was before the firing began
    Firings again;
    take(again, merged(firing(new_year + 1min)), new_year + 1min);
    CHECK(take(again, merged(ended(new_year, new_year + 9min)), new_year + 9min) == FiringEffect::ended);
    CHECK_FALSE(again.any_counts());
}

// What Alertmanager 0.25 was seen to send where two replicas of Prometheus evaluate at the same instants, and one of
// them stops firing before the other.
TEST_CASE("F9: a sender that merges is heard again under the same start, since its messages come in order") {
    Firings firings;
    CHECK(take(firings, merged(firing(new_year)), new_year) == FiringEffect::began);
    CHECK(take(firings, merged(ended(new_year, new_year + 5min)), new_year + 5min) == FiringEffect::ended);
    CHECK(take(firings, merged(firing(new_year)), new_year + 6min) == FiringEffect::revived);
    CHECK(firings.any_counts());
    CHECK(take(firings, merged(firing(new_year)), new_year + 7min) == FiringEffect::extended);
    CHECK(take(firings, merged(ended(new_year, new_year + 9min)), new_year + 9min) == FiringEffect::ended);
    CHECK_FALSE(firings.any_counts());
    // A firing message that two Alertmanagers sent is taken back by a resolve with the end that was known before.
    CHECK(take(firings, merged(firing(new_year)), new_year + 10min) == FiringEffect::revived);
    CHECK(take(firings, merged(ended(new_year, new_year + 9min)), new_year + 11min) == FiringEffect::ended);
    CHECK(take(firings, merged(ended(new_year, new_year + 9min)), new_year + 12min) == FiringEffect::nothing);
}

TEST_CASE("F9: a sender that merges is heard again under an earlier start, once the later has ended") {
    Firings firings;
    take(firings, merged(firing(new_year)), new_year);
    take(firings, merged(ended(new_year, new_year + 5min)), new_year + 5min);
    CHECK(take(firings, merged(firing(new_year - 15s)), new_year + 6min) == FiringEffect::began);
    CHECK(firings.any_counts());
}

TEST_CASE("F9: a sender that merges does not undo what a person dismissed") {
    Firings firings;
    take(firings, merged(firing(new_year)), new_year);
    firings.dismiss(new_year + 1min);
    take(firings, merged(firing(new_year)), new_year + 2min);
    take(firings, merged(ended(new_year, new_year + 5min)), new_year + 5min);
    take(firings, merged(firing(new_year)), new_year + 6min);
    take(firings, merged(firing(new_year - 15s)), new_year + 6min);
    CHECK_FALSE(firings.any_counts());
    CHECK(take(firings, merged(firing(new_year + 10min)), new_year + 10min) == FiringEffect::began);
}

TEST_CASE("F3: a lifetime that a wrong clock taught does not keep a firing ended for as long as the clock was wrong") {
    for (const auto behind : {1h, 24h * 365 * 30}) {
        Firings firings;
        // The clock of this machine is behind when the first messages come, and is set then.
        for (int minute = 0; minute < 3; ++minute)
            take(firings, vouched(new_year, new_year + 1min * minute), new_year + 1min * minute - behind);
        take(firings, vouched(new_year, new_year + 3min), new_year + 3min);
        // Both replicas fire under one start, and one of them ends.
        CHECK(take(firings, ended(new_year, new_year + 4min), new_year + 4min) == FiringEffect::ended);
        int minutes = 1;
        while (minutes < 60 && !firings.any_counts()) {
            take(firings, vouched(new_year, new_year + 4min + 1min * minutes), new_year + 4min + 1min * minutes);
            ++minutes;
        }
        CAPTURE(behind, minutes);
        CHECK(minutes <= (behind == 1h ? 10 : 30));
    }
}

TEST_CASE("F5: an end that is said to be in the future is now, and hides no later firing") {
    Firings firings;
    take(firings, vouched(new_year, new_year), new_year);
    CHECK(take(firings, ended(new_year, new_year + 24h * 3650), new_year + 5min) == FiringEffect::ended);
    CHECK(firings.all.front().reported_end == new_year + 5min);
    CHECK(take(firings, vouched(new_year, new_year + 7min), new_year + 7min) == FiringEffect::revived);
}

TEST_CASE("F7: a firing that states no start begins now, also where the clock was set back since a person dismissed") {
    const auto unstated = [](WallTime now) {
        Alert alert = firing(now);
        alert.start_stated = false;
        return alert;
    };
    Firings firings;
    take(firings, unstated(new_year), new_year);
    firings.dismiss(new_year + 1min);
    CHECK(take(firings, unstated(new_year - 1h), new_year - 1h) == FiringEffect::began);
    CHECK(firings.any_counts());
}

TEST_CASE("F1: firings that state no start are told apart, though they begin in the same microsecond") {
    const auto unstated = [](Alert alert) {
        alert.start_stated = false;
        return alert;
    };
    Firings firings;
    take(firings, unstated(firing(new_year)), new_year);
    take(firings, unstated(ended(new_year, new_year)), new_year);
    const auto news = take_in(firings, unstated(firing(new_year)), new_year);
    CHECK(news.effect == FiringEffect::began);
    CHECK(news.speaks_for_all);
    REQUIRE(firings.all.size() == 2);
    CHECK(firings.all[0].starts_at != firings.all[1].starts_at);
}

TEST_CASE("F8: what has ended, or was dismissed, takes no room from what counts") {
    Firings firings;
    take(firings, vouched(new_year - 1min, new_year), new_year);
    firings.dismiss(new_year);
    for (std::size_t i = 0; i < max_firings; ++i) take(firings, vouched(new_year + 1s * i, new_year), new_year);
    const Firings full = firings;
    REQUIRE(std::ranges::all_of(full.all, &Firing::counts));
    CHECK(take(firings, ended(new_year - 1h, new_year + 1min), new_year + 1min) == FiringEffect::nothing);
    CHECK(take(firings, vouched(new_year - 1min, new_year + 1min), new_year + 1min) == FiringEffect::nothing);
    CHECK(firings == full);
}

TEST_CASE("F6: a sender that merges does not end what others vouch for") {
    Firings firings;
    take(firings, vouched(new_year, new_year), new_year);
    Alert over = ended(new_year - 1min, new_year + 2min);
    over.merged = true;
    take(firings, over, new_year + 2min);
    CHECK(firings.any_counts());
}

TEST_CASE("F3: replicas that evaluate at the same instants share a start: the one that fires on is heard again") {
    Firings firings;
    CHECK(take(firings, vouched(new_year, new_year), new_year) == FiringEffect::began);
    CHECK(take(firings, ended(new_year, new_year + 10min), new_year + 10min) == FiringEffect::ended);
    // Made before the end, came after.
    CHECK(take(firings, vouched(new_year, new_year + 9min), new_year + 11min) == FiringEffect::nothing);
    CHECK(take(firings, vouched(new_year, new_year + 11min), new_year + 11min) == FiringEffect::revived);
    // The resolve of the other one is sent again for 15 minutes.
    CHECK(take(firings, ended(new_year, new_year + 10min), new_year + 12min) == FiringEffect::nothing);
    CHECK(firings.any_counts());
    CHECK(take(firings, ended(new_year, new_year + 20min), new_year + 20min) == FiringEffect::ended);
    CHECK_FALSE(firings.any_counts());
}

TEST_CASE("F3: where no lifetime is known the first message teaches it and the second decides") {
    Firings firings;
    take(firings, firing(new_year - 1h), new_year - 1h);
    take(firings, ended(new_year, new_year + 10min), new_year + 10min);
    CHECK(take(firings, vouched(new_year, new_year + 10min), new_year + 10min) == FiringEffect::extended);
    CHECK(take(firings, vouched(new_year, new_year + 10min), new_year + 11min) == FiringEffect::nothing);
    CHECK(take(firings, vouched(new_year, new_year + 12min), new_year + 12min) == FiringEffect::revived);
}

TEST_CASE("F3: a firing without an end does not revive, however often it is repeated") {
    Firings firings;
    take(firings, firing(new_year), new_year);
    take(firings, ended(new_year, new_year + 10min), new_year + 10min);
    CHECK(take(firings, firing(new_year), new_year + 1h) == FiringEffect::nothing);
    CHECK_FALSE(firings.any_counts());
}

TEST_CASE("F4: what expired revives by a repeat of the same start") {
    Firings firings;
    take(firings, vouched(new_year, new_year), new_year);
    CHECK_FALSE(firings.expire(new_year + lifetime - 1us));
    CHECK(firings.expire(new_year + lifetime));
    CHECK(firings.all.front().expired());
    CHECK(take(firings, vouched(new_year, new_year + 1h), new_year + 1h) == FiringEffect::revived);
    CHECK(firings.expires_at() == new_year + 1h + lifetime);

    firings.expire(new_year + 2h);
    // A report that comes late makes an ordinary end of it.
    CHECK(take(firings, ended(new_year, new_year + 90min), new_year + 3h) == FiringEffect::extended);
    CHECK_FALSE(firings.all.front().expired());
}

TEST_CASE("F2: the latest end that was vouched for holds, in whatever order the messages come") {
    Firings firings;
    take(firings, vouched(new_year, new_year + 2min), new_year + 2min);
    CHECK(take(firings, vouched(new_year, new_year + 1min), new_year + 2min) == FiringEffect::extended);
    CHECK(firings.expires_at() == new_year + 2min + lifetime);
    CHECK(take(firings, firing(new_year), new_year + 3min) == FiringEffect::extended);
    CHECK_FALSE(firings.expires_at());
}

TEST_CASE("F1: a message without a start is about what fires") {
    const auto unstated = [](Alert alert) {
        alert.start_stated = false;
        return alert;
    };
    Firings firings;
    CHECK(take(firings, unstated(firing(new_year)), new_year) == FiringEffect::began);
    CHECK(take(firings, unstated(firing(new_year + 1min)), new_year + 1min) == FiringEffect::extended);
    CHECK(firings.all.size() == 1);
    take(firings, vouched(new_year + 2min, new_year + 2min), new_year + 2min);
    CHECK(take(firings, unstated(ended(new_year + 3min, new_year + 3min)), new_year + 3min) == FiringEffect::ended);
    CHECK_FALSE(firings.any_counts());
    CHECK(take(firings, unstated(ended(new_year + 4min, new_year + 4min)), new_year + 4min) == FiringEffect::nothing);

    take(firings, unstated(firing(new_year + 5min)), new_year + 5min);
    firings.dismiss(new_year + 6min);
    CHECK(take(firings, unstated(firing(new_year + 7min)), new_year + 7min) == FiringEffect::began);
}

TEST_CASE("F7: what a person dismissed, and what began no later, counts no more; what begins later does") {
    Firings firings;
    take(firings, vouched(new_year, new_year), new_year);
    firings.dismiss(new_year + 2min);
    CHECK_FALSE(firings.any_counts());
    CHECK(take(firings, vouched(new_year, new_year + 3min), new_year + 3min) == FiringEffect::extended);
    CHECK(take(firings, vouched(new_year - 1min, new_year + 3min), new_year + 3min) == FiringEffect::extended);
    CHECK_FALSE(firings.any_counts());
    CHECK(take(firings, vouched(new_year + 1us, new_year + 3min), new_year + 3min) == FiringEffect::began);
    CHECK(firings.any_counts());
}

TEST_CASE("F7: a start from a wrong clock dismisses nothing that honest clocks tell") {
    Firings firings;
    take(firings, vouched(new_year + 24h * 365, new_year), new_year);
    firings.dismiss(new_year + 1min);
    CHECK(take(firings, vouched(new_year + 2min, new_year + 2min), new_year + 2min) == FiringEffect::began);
    CHECK(take(firings, vouched(new_year + 24h * 365, new_year + 2min), new_year + 2min) == FiringEffect::extended);
}

TEST_CASE("F7: once a person opens the incident again, what still fires counts again") {
    Firings firings;
    take(firings, vouched(new_year, new_year), new_year);
    take(firings, vouched(new_year + 1min, new_year + 1min), new_year + 1min);
    firings.dismiss(new_year + 2min);
    take(firings, vouched(new_year, new_year + 5min), new_year + 5min);
    firings.restore(new_year + 6min);
    REQUIRE(firings.all.size() == 2);
    CHECK(firings.all[0].counts());
    CHECK(firings.all[1].expired());
    CHECK(take(firings, vouched(new_year - 1min, new_year + 7min), new_year + 7min) == FiringEffect::began);
}

TEST_CASE("F8: firings are bounded, and what counts is kept longest") {
    Firings firings;
    take(firings, vouched(new_year, new_year), new_year);
    for (int i = 1; i <= 100; ++i) {
        const WallTime at = new_year + 1min * i;
        take(firings, vouched(at, at), at);
        take(firings, ended(at, at), at);
    }
    CHECK(firings.all.size() == max_firings);
    CHECK(firings.all.front().starts_at == new_year);
    CHECK(firings.any_counts());
    for (int i = 1; i <= 100; ++i) take(firings, vouched(new_year + 3h + 1min * i, new_year + 3h), new_year + 3h);
    CHECK(firings.all.size() == max_firings);
    CHECK(firings.all.back().starts_at == new_year + 3h + 100min);
}

namespace {

/// A replica of Prometheus as it sends: a firing every minute from its start to its end, and from then on the resolve,
/// for 15 minutes. It evaluates `offset` after each full minute.
struct Replica {
    WallTime starts_at{};
    WallTime ends_at{};

    [[nodiscard]] bool fires(WallTime at) const { return starts_at <= at && at < ends_at; }
    [[nodiscard]] std::optional<Alert> says(WallTime at) const {
        if (at < starts_at || at > ends_at + 15min) return std::nullopt;
        return fires(at) ? vouched(starts_at, at) : ended(starts_at, ends_at);
    }
};

/// Two replicas whose messages are under way for up to 90 s, and some of which are lost: the incident that arises.
std::optional<Incident> play(const std::array<Replica, 2>& replicas, std::mt19937& random, WallTime until) {
    std::multimap<WallTime, Alert> arriving;
    const auto below = [&random](int bound) { return std::uniform_int_distribution{0, bound - 1}(random); };
    for (const auto& replica : replicas) {
        for (WallTime at = replica.starts_at; at <= until; at += 1min) {
            const auto alert = replica.says(at);
            const bool last_ones = at + 4min > until;  // what holds in the end is not lost, and quickly there
            if (!alert || (!last_ones && below(5) == 0)) continue;
            arriving.emplace(at + (last_ones ? 1s : 1s * below(90)), *alert);
        }
    }
    std::optional<Incident> incident;
    const IncidentRules rules;
    for (WallTime now = new_year; now <= until + 5s; now += 1s) {
        const auto [first, last] = arriving.equal_range(now);
        for (auto message = first; message != last; ++message) {
            const Change change = apply_alert(message->second, incident, rules, now);
            if (change.kind != ChangeKind::none) incident = change.incident;
        }
        if (incident && now.time_since_epoch() % 5s == 0s) {
            if (const Change change = expire(*incident, rules, now); change.kind != ChangeKind::none)
                incident = change.incident;
        }
    }
    return incident;
}

}  // namespace

TEST_CASE("two replicas: whatever comes when, in the end the incident is open while one of them fires, and only then") {
    int ends_open = 0;
    for (unsigned seed = 0; seed < 1'000; ++seed) {
        std::mt19937 random{seed};
        const auto below = [&random](int bound) { return std::uniform_int_distribution{0, bound - 1}(random); };
        const WallTime until = new_year + 30min;
        std::array<Replica, 2> replicas;
        const bool aligned = below(2) == 0;
        for (auto& replica : replicas) {
            const bool same_start = aligned && &replica != replicas.data();
            replica.starts_at = same_start ? replicas[0].starts_at : new_year + 1s * below(300);
            // Whole minutes after the start: that is when a replica evaluates and finds that the alert is over.
            replica.ends_at = replica.starts_at + 1min * (1 + below(50));
            // Who fires on needs one more message to say so.
            if (replica.ends_at > until - 2min && replica.ends_at <= until) replica.ends_at += 10min;
        }
        const auto incident = play(replicas, random, until);
        const bool fires = replicas[0].fires(until) || replicas[1].fires(until);
        ends_open += fires ? 1 : 0;
        CAPTURE(seed, aligned, replicas[0].starts_at - new_year, replicas[0].ends_at - new_year,
                replicas[1].starts_at - new_year, replicas[1].ends_at - new_year);
        REQUIRE((incident && is_open(incident->state)) == fires);
    }
    CHECK(ends_open > 100);
    CHECK(ends_open < 900);
}

TEST_CASE("two replicas: a person's resolution stays until an alert fires anew") {
    for (unsigned seed = 0; seed < 500; ++seed) {
        std::mt19937 random{seed};
        const std::array<Replica, 2> replicas{
            Replica{.starts_at = new_year, .ends_at = new_year + 20min},
            Replica{.starts_at = new_year + 1s * (seed % 60), .ends_at = new_year + 24min}};
        const auto before = play(replicas, random, new_year + 10min);
        REQUIRE(before);
        auto resolved = move_to(*before, IncidentState::resolved, "ada", "", {}, new_year + 10min + 3s);
        REQUIRE(resolved);
        std::optional<Incident> incident = resolved->incident;
        for (int minute = 11; minute < 50; ++minute) {
            const WallTime now = new_year + 1min * minute + 4s;
            for (const auto& replica : replicas) {
                const auto alert = replica.says(new_year + 1min * minute);
                if (!alert) continue;
                const Change change = apply_alert(*alert, incident, {}, now);
                if (change.kind != ChangeKind::none) incident = change.incident;
                REQUIRE(incident->state == IncidentState::resolved);
            }
        }
        const WallTime anew = new_year + 1h;
        CHECK(apply_alert(vouched(anew, anew), incident, {}, anew).kind == ChangeKind::created);
    }
}

}  // namespace fusebox::test
