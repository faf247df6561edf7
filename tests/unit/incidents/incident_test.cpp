#include <fusebox/incidents/incident.hpp>

#include <array>
#include <stdexcept>

#include <fusebox/text/rfc3339.hpp>

#include "support/catch.hpp"
#include "unit/incidents/alert_samples.hpp"

namespace fusebox::test {

using namespace incidents;

namespace {

using namespace std::chrono_literals;

constexpr std::array states{IncidentState::detected,    IncidentState::triaged,  IncidentState::investigating,
                            IncidentState::remediating, IncidentState::resolved, IncidentState::closed};

const IncidentRules rules{};

IncidentRules rules_with(std::chrono::seconds flap_window, std::size_t max_timeline) {
    IncidentRules changed;
    changed.flap_window = flap_window;
    changed.max_timeline = max_timeline;
    return changed;
}

/// As the store would hand it back: with an id and a version.
Incident stored(Change change) {
    if (change.incident.id.empty()) change.incident.id = "inc_1";
    ++change.incident.version;
    return std::move(change.incident);
}

/// An incident whose alert fires since `new_year`, brought to `state` one and two minutes later.
Incident in_state(IncidentState state) {
    Incident incident = stored(apply_alert(firing(new_year), {}, rules, new_year));
    const auto step = [&incident](IncidentState to, WallTime at) {
        auto change = move_to(incident, to, "ada", "", rules, at);
        REQUIRE(change);
        incident = stored(*change);
    };
    if (state == IncidentState::closed) step(IncidentState::resolved, new_year + 1min);
    if (state != IncidentState::detected) step(state, new_year + (state == IncidentState::closed ? 2min : 1min));
    REQUIRE(incident.state == state);
    return incident;
}

Incident with_severity(Severity severity) {
    Alert alert = firing(new_year);
    alert.severity = severity;
    return stored(apply_alert(alert, {}, rules, new_year));
}

}  // namespace

// --- alerts -------------------------------------------------------------------------------------------------------

TEST_CASE("a firing without an incident creates one") {
    Alert alert = firing(new_year - 1min);
    alert.labels["severity"] = "critical";
    alert.annotations = {{"runbook", "https://runbooks.example/slow"}};
    const Change change = apply_alert(alert, {}, rules, new_year);

    CHECK(change.kind == ChangeKind::created);
    CHECK(change.notify);
    const Incident& made = change.incident;
    CHECK(made.id.empty());
    CHECK(made.version == 0);
    CHECK(made.title == alert.title);
    CHECK(made.state == IncidentState::detected);
    CHECK(made.severity == Severity::p0);
    CHECK(made.labels == alert.labels);
    CHECK(made.annotations == alert.annotations);
    CHECK(made.source == "prometheus");
    CHECK(made.fingerprint == fingerprint(alert.labels));
    CHECK(made.created_at == new_year);
    CHECK(made.updated_at == new_year);
    CHECK(made.alert_starts_at == new_year - 1min);
    CHECK_FALSE(made.resolved_at);
    CHECK(made.alert_count == 1);
    CHECK(made.last_seen == new_year);
    CHECK(made.firings.all == std::vector<Firing>{{.starts_at = new_year - 1min, .first_seen = new_year}});
    CHECK(change.events == made.timeline);
    CHECK(made.timeline == std::vector<TimelineEvent>{
                               {new_year, "created", "alert:prometheus", "P0, fires since 2025-12-31T23:59:00Z"}});
}

TEST_CASE("the link to an alert's generator is kept as an annotation") {
    Alert alert = firing(new_year);
    alert.generator_url = "http://prometheus.example/graph";
    CHECK(apply_alert(alert, {}, rules, new_year).incident.annotations ==
          Labels{{"generator_url", "http://prometheus.example/graph"}});
    alert.annotations = {{"generator_url", "its own"}};
    CHECK(apply_alert(alert, {}, rules, new_year).incident.annotations == Labels{{"generator_url", "its own"}});
}

TEST_CASE("a resolve of nothing changes nothing") {
    const Change change = apply_alert(ended(new_year, new_year), {}, rules, new_year);
    CHECK(change.kind == ChangeKind::none);
    CHECK_FALSE(change.notify);
    CHECK(change.incident == Incident{});
}

TEST_CASE("life cycle: what each alert does to an incident in each state") {
    using enum IncidentState;
    enum Message { old_firing, same_firing, new_firing, late_firing, old_resolve, same_resolve, new_resolve };
    // resolved and closed are so since one minute after new year; the late firing begins past the flap window
    const auto message = [](Message which) {
        switch (which) {
            case old_firing:
                return firing(new_year - 1us);
            case same_firing:
                return firing(new_year);
            case new_firing:
                return firing(new_year + 2min);
            case late_firing:
                return firing(new_year + 12min);
            case old_resolve:
                return ended(new_year - 1us, new_year + 5min);
            case same_resolve:
                return ended(new_year, new_year + 5min);
            case new_resolve:
                return ended(new_year + 2min, new_year + 5min);
        }
        throw std::logic_error{"no such message"};
    };
    struct Row {
        Message message;
        ChangeKind open;
        ChangeKind resolved;
        ChangeKind closed;
    };
    // What is only repeated tells of firings that do not count, or of one that counts anyway.
    const std::vector<Row> table{
        {old_firing, ChangeKind::updated, ChangeKind::repeated, ChangeKind::repeated},
        {same_firing, ChangeKind::repeated, ChangeKind::none, ChangeKind::none},
        {new_firing, ChangeKind::updated, ChangeKind::reopened, ChangeKind::created},
        {late_firing, ChangeKind::updated, ChangeKind::created, ChangeKind::created},
        {old_resolve, ChangeKind::repeated, ChangeKind::repeated, ChangeKind::repeated},
        {same_resolve, ChangeKind::resolved, ChangeKind::repeated, ChangeKind::repeated},
        {new_resolve, ChangeKind::resolved, ChangeKind::repeated, ChangeKind::repeated},
    };
    const WallTime now = new_year + 20min;
    for (const auto state : states) {
        for (const auto& row : table) {
            CAPTURE(to_string(state), row.message);
            const Incident before = in_state(state);
            const Change change = apply_alert(message(row.message), before, rules, now);
            const auto expected = is_open(state) ? row.open : state == resolved ? row.resolved : row.closed;
            CHECK(to_string(change.kind) == to_string(expected));
            switch (expected) {
                case ChangeKind::none:
                    CHECK(change.incident == before);
                    break;
                case ChangeKind::repeated:
                    CHECK(change.events.empty());
                    [[fallthrough]];
                case ChangeKind::updated:
                    CHECK(change.incident.state == state);
                    CHECK(change.incident.timeline == before.timeline);
                    break;
                case ChangeKind::resolved:
                    CHECK(change.incident.state == resolved);
                    break;
                case ChangeKind::created:
                    CHECK(change.incident.id.empty());
                    [[fallthrough]];
                case ChangeKind::reopened:
                    CHECK(change.incident.state == detected);
                    break;
                default:
                    FAIL("no alert does this");
            }
            if (expected != ChangeKind::created) CHECK(change.incident.id == before.id);
            if (expected != ChangeKind::created) CHECK(change.incident.version == before.version);
            CHECK(change.notify == (expected == ChangeKind::created || expected == ChangeKind::reopened ||
                                    expected == ChangeKind::resolved));
        }
    }
}

TEST_CASE("a repeat that says nothing new counts, and is no change of the incident") {
    const Incident before = in_state(IncidentState::investigating);
    const Change change = apply_alert(firing(new_year), before, rules, new_year + 3min);
    CHECK(change.kind == ChangeKind::repeated);
    CHECK_FALSE(change.notify);
    CHECK(change.events.empty());
    Incident expected = before;
    expected.alert_count = 2;
    expected.last_seen = new_year + 3min;
    CHECK(change.incident == expected);
}

TEST_CASE("a title that changes is shown as it is now") {
    const Incident before = in_state(IncidentState::triaged);
    Alert alert = firing(new_year);
    alert.title = "The model server answers very slowly";
    const Change change = apply_alert(alert, before, rules, new_year + 1min);
    CHECK(change.kind == ChangeKind::updated);
    CHECK_FALSE(change.notify);
    CHECK(change.incident.title == alert.title);
    CHECK(change.incident.updated_at == new_year + 1min);
    CHECK(change.incident.timeline == before.timeline);
}

TEST_CASE("replicas that differ in nothing but the link to themselves say the same") {
    Alert alert = firing(new_year);
    alert.annotations = {{"runbook", "https://runbooks.example/slow"}};
    alert.generator_url = "http://prometheus-a.example/graph";
    const Incident before = stored(apply_alert(alert, {}, rules, new_year));
    alert.generator_url = "http://prometheus-b.example/graph";
    CHECK(apply_alert(alert, before, rules, new_year + 1min).kind == ChangeKind::repeated);
}

TEST_CASE("an incident shows what the newest of its firings says, not what an older one repeats") {
    Alert older = firing(new_year);
    older.title = "older";
    Alert newer = firing(new_year + 1min);
    newer.title = "newer";
    Incident incident = stored(apply_alert(older, {}, rules, new_year));
    incident = stored(apply_alert(newer, incident, rules, new_year + 2min));
    CHECK(incident.title == "newer");
    CHECK(apply_alert(older, incident, rules, new_year + 3min).kind == ChangeKind::repeated);
    incident = stored(apply_alert(ended(new_year + 1min, new_year + 3min), incident, rules, new_year + 3min));
    CHECK(is_open(incident.state));
    CHECK(apply_alert(older, incident, rules, new_year + 4min).incident.title == "older");
}

TEST_CASE("a severity that means nothing known is P2, and the timeline says so") {
    Alert alert = firing(new_year);
    alert.labels["severity"] = "spicy";
    const Change change = apply_alert(alert, {}, rules, new_year);
    CHECK(change.incident.severity == Severity::p2);
    REQUIRE(change.events.size() == 2);
    CHECK(change.events[1] == TimelineEvent{new_year, "severity_unknown", "alert:prometheus",
                                            "the severity \"spicy\" is not known and counts as P2"});
    IncidentRules own = rules;
    own.severity_words = SeverityWords{{{"Spicy", Severity::p0}}};
    const Change known = apply_alert(alert, {}, own, new_year);
    CHECK(known.incident.severity == Severity::p0);
    CHECK(known.events.size() == 1);
}

TEST_CASE("alerts that a message left out are said on the timeline, once for each number") {
    Alert alert = firing(new_year);
    alert.truncated = 17;
    const Change change = apply_alert(alert, {}, rules, new_year);
    REQUIRE(change.events.size() == 2);
    CHECK(change.events[1] == TimelineEvent{new_year, "alerts_truncated", "alert:prometheus",
                                            "the message left out 17 more alerts of its group"});
    const Incident incident = stored(change);
    CHECK(apply_alert(alert, incident, rules, new_year + 1min).kind == ChangeKind::repeated);
    alert.truncated = 18;
    const Change more = apply_alert(alert, incident, rules, new_year + 1min);
    CHECK(more.kind == ChangeKind::updated);
    CHECK_FALSE(more.notify);
    CHECK(more.events.size() == 1);
}

TEST_CASE("a repeat brings its annotations, and leaves those it does not replace") {
    Alert alert = firing(new_year);
    alert.annotations = {{"value", "17"}, {"runbook", "https://runbooks.example/slow"}};
    const Incident before = stored(apply_alert(alert, {}, rules, new_year));

    alert.annotations = {{"value", "18"}};
    CHECK(apply_alert(alert, before, rules, new_year + 1min).incident.annotations == Labels{{"value", "18"}});
    alert.annotations.clear();
    CHECK(apply_alert(alert, before, rules, new_year + 1min).incident.annotations == before.annotations);
}

TEST_CASE("two firings of one alert keep an incident open until both have ended") {
    const Incident before = in_state(IncidentState::triaged);
    const Incident both = stored(apply_alert(firing(new_year + 1h), before, rules, new_year + 1h));
    CHECK(both.alert_starts_at == new_year + 1h);
    CHECK(both.timeline == before.timeline);
    for (const bool older_first : {true, false}) {
        const WallTime first = new_year + (older_first ? 0h : 1h);
        const WallTime second = new_year + (older_first ? 1h : 0h);
        const Change one = apply_alert(ended(first, new_year + 90min), both, rules, new_year + 2h);
        CHECK(one.kind == ChangeKind::updated);
        CHECK(one.incident.state == IncidentState::triaged);
        const Change last = apply_alert(ended(second, new_year + 100min), stored(one), rules, new_year + 2h);
        CHECK(last.kind == ChangeKind::resolved);
        CHECK(last.incident.resolved_at == new_year + 100min);
    }
}

TEST_CASE("a repeat that raises the severity notifies, one that lowers it does not; both enter the timeline") {
    for (const auto from : {Severity::p0, Severity::p2, Severity::p4}) {
        for (const auto to : {Severity::p0, Severity::p2, Severity::p4}) {
            CAPTURE(to_string(from), to_string(to));
            const Incident before = with_severity(from);
            Alert alert = firing(new_year);
            alert.severity = to;
            const Change change = apply_alert(alert, before, rules, new_year + 1min);
            CHECK(change.kind == (from == to ? ChangeKind::repeated : ChangeKind::updated));
            CHECK(change.incident.severity == to);
            CHECK(change.notify == (to < from));
            if (from == to) {
                CHECK(change.incident.timeline == before.timeline);
            } else {
                const auto detail = "from " + std::string{to_string(from)} + " to " + std::string{to_string(to)};
                CHECK(change.incident.timeline.size() == 2);
                CHECK(change.incident.timeline.back() ==
                      TimelineEvent{new_year + 1min, "severity_changed", "alert:prometheus", detail});
            }
        }
    }
}

TEST_CASE("a repeat that states no severity leaves it") {
    const Incident before = with_severity(Severity::p1);
    CHECK(apply_alert(firing(new_year), before, rules, new_year + 1min).incident.severity == Severity::p1);
}

TEST_CASE("a late repeat of an older firing does not bring its old severity back") {
    Incident incident = with_severity(Severity::p3);
    Alert worse = firing(new_year + 1h);
    worse.severity = Severity::p0;
    incident = stored(apply_alert(worse, incident, rules, new_year + 1h));
    Alert late = firing(new_year);
    late.severity = Severity::p3;
    const Change change = apply_alert(late, incident, rules, new_year + 2h);
    CHECK(change.kind == ChangeKind::repeated);
    CHECK(change.incident.severity == Severity::p0);
}

TEST_CASE("a resolve resolves as of the end that the alert gives") {
    const Incident before = in_state(IncidentState::detected);
    const Change change = apply_alert(ended(new_year, new_year + 4min), before, rules, new_year + 5min);
    CHECK(change.kind == ChangeKind::resolved);
    CHECK(change.incident.resolved_at == new_year + 4min);
    CHECK(change.incident.updated_at == new_year + 5min);
    CHECK(change.incident.alert_count == 2);
    CHECK(change.incident.timeline.back() ==
          TimelineEvent{new_year + 5min, "resolved", "alert:prometheus", "the alert ended at 2026-01-01T00:04:00Z"});
}

TEST_CASE("an end that cannot be is taken as now") {
    const Incident before = in_state(IncidentState::detected);
    const WallTime now = new_year + 5min;
    Alert alert = ended(new_year, now + 1us);
    CHECK(apply_alert(alert, before, rules, now).incident.resolved_at == now);
    alert.ends_at = new_year - 1us;
    CHECK(apply_alert(alert, before, rules, now).incident.resolved_at == now);
    alert.ends_at = std::nullopt;
    CHECK(apply_alert(alert, before, rules, now).incident.resolved_at == now);
    alert.ends_at = new_year;
    CHECK(apply_alert(alert, before, rules, now).incident.resolved_at == new_year);
    alert.ends_at = now;
    CHECK(apply_alert(alert, before, rules, now).incident.resolved_at == now);
}

TEST_CASE("a resolve of a firing that was never seen also settles that firing") {
    const Incident before = in_state(IncidentState::detected);
    const Incident after = stored(apply_alert(ended(new_year + 5min, new_year + 6min), before, rules, new_year + 6min));
    CHECK(after.state == IncidentState::resolved);
    CHECK(apply_alert(firing(new_year + 5min), after, rules, new_year + 7min).kind == ChangeKind::none);
}

TEST_CASE("a resolve leaves severity and annotations as they were") {
    Alert alert = firing(new_year);
    alert.severity = Severity::p1;
    alert.annotations = {{"value", "17"}};
    const Incident before = stored(apply_alert(alert, {}, rules, new_year));
    alert.resolved = true;
    alert.severity = Severity::p4;
    alert.annotations = {{"value", "0"}};
    const Incident after = apply_alert(alert, before, rules, new_year + 1min).incident;
    CHECK(after.severity == Severity::p1);
    CHECK(after.annotations == before.annotations);
}

TEST_CASE("a resolve that is sent again and again changes nothing after the first") {
    Incident incident = stored(
        apply_alert(ended(new_year, new_year + 1min), in_state(IncidentState::detected), rules, new_year + 1min));
    for (int minute = 2; minute < 17; ++minute) {
        const Change again = apply_alert(ended(new_year, new_year + 1min), incident, rules, new_year + 1min * minute);
        CHECK(again.kind == ChangeKind::none);
        CHECK(again.incident == incident);
    }
}

TEST_CASE("a repeat does not undo what an operator resolved or closed") {
    for (const auto state : {IncidentState::resolved, IncidentState::closed}) {
        const Incident before = in_state(state);
        for (const auto later : {3min, 9min, 60min}) {
            CHECK(apply_alert(firing(new_year), before, rules, new_year + later).kind == ChangeKind::none);
        }
    }
}

TEST_CASE("the same firing by two paths is one incident, whichever path is first") {
    Alert direct = firing(new_year);
    Alert relayed = firing(new_year);
    relayed.source = "alertmanager";
    relayed.title = "SlowModel";
    for (const auto& [first, second] : {std::pair{direct, relayed}, std::pair{relayed, direct}}) {
        const Incident incident = stored(apply_alert(first, {}, rules, new_year));
        const Change change = apply_alert(second, incident, rules, new_year + 30s);
        CHECK(change.kind == ChangeKind::updated);
        CHECK_FALSE(change.notify);
        CHECK(change.incident.title == second.title);
        CHECK(change.incident.source == first.source);
    }
}

TEST_CASE("a slow path's firing and resolve after the fast path's resolve change nothing") {
    const Incident incident =
        stored(apply_alert(ended(new_year, new_year + 10s), in_state(IncidentState::detected), rules, new_year + 10s));
    CHECK(apply_alert(firing(new_year), incident, rules, new_year + 30s).kind == ChangeKind::none);
    CHECK(apply_alert(ended(new_year, new_year + 10s), incident, rules, new_year + 60s).kind == ChangeKind::none);
}

TEST_CASE("flap window: a new firing at its very end reopens, one microsecond later it makes a new incident") {
    const Incident before = in_state(IncidentState::resolved);
    REQUIRE(before.resolved_at == new_year + 1min);
    const WallTime end = new_year + 11min;
    const WallTime now = new_year + 1h;
    CHECK(apply_alert(firing(end), before, rules, now).kind == ChangeKind::reopened);
    CHECK(apply_alert(firing(end + 1us), before, rules, now).kind == ChangeKind::created);
    // Begun before the operator resolved, but after the firing that he resolved.
    CHECK(apply_alert(firing(new_year + 30s), before, rules, now).kind == ChangeKind::reopened);
}

TEST_CASE("flap window: none reopens only what begins no later than the resolution") {
    const Incident before = in_state(IncidentState::resolved);
    const IncidentRules none = rules_with(0s, 500);
    CHECK(apply_alert(firing(new_year + 1min), before, none, new_year + 1h).kind == ChangeKind::reopened);
    CHECK(apply_alert(firing(new_year + 1min + 1us), before, none, new_year + 1h).kind == ChangeKind::created);
}

TEST_CASE("flap window: the longest there is does not overflow") {
    const IncidentRules always = rules_with(std::chrono::seconds::max(), 500);
    CHECK(apply_alert(firing(new_year + 24h * 365'000), in_state(IncidentState::resolved), always,
                      new_year + 24h * 365'000)
              .kind == ChangeKind::reopened);
}

TEST_CASE("a reopened incident starts over, with its history") {
    const Incident before = in_state(IncidentState::resolved);
    Alert alert = firing(new_year + 5min);
    alert.severity = Severity::p0;
    alert.annotations = {{"value", "19"}};
    const Change change = apply_alert(alert, before, rules, new_year + 6min);
    REQUIRE(change.kind == ChangeKind::reopened);
    const Incident& after = change.incident;
    CHECK(after.id == before.id);
    CHECK(after.state == IncidentState::detected);
    CHECK_FALSE(after.resolved_at);
    CHECK(after.alert_starts_at == new_year + 5min);
    CHECK(after.severity == Severity::p0);
    CHECK(after.annotations == alert.annotations);
    CHECK(after.alert_count == before.alert_count + 1);
    CHECK(after.created_at == before.created_at);
    REQUIRE(after.timeline.size() == before.timeline.size() + 2);
    CHECK(after.timeline[2] ==
          TimelineEvent{new_year + 6min, "reopened", "alert:prometheus", "fires again since 2026-01-01T00:05:00Z"});
    CHECK(after.timeline[3].kind == "severity_changed");
}

TEST_CASE("a new incident of a fingerprint is newer than the one before, even when the clock was set back") {
    const Incident before = in_state(IncidentState::closed);
    CHECK(apply_alert(firing(new_year + 1h), before, rules, new_year + 1h).incident.created_at == new_year + 1h);
    const Incident same_instant = [] {
        Incident incident = in_state(IncidentState::closed);
        incident.created_at = new_year + 1h;
        return incident;
    }();
    const Change change = apply_alert(firing(new_year + 30min), same_instant, rules, new_year + 30min);
    REQUIRE(change.kind == ChangeKind::created);
    CHECK(change.incident.created_at == new_year + 1h + 1us);
}

TEST_CASE("a start in the future does not outrank the honest messages that follow") {
    const WallTime far = *text::from_rfc3339("9999-12-31T23:59:59Z");
    Incident incident = stored(apply_alert(firing(far), {}, rules, new_year));
    CHECK(incident.alert_starts_at == new_year);
    CHECK(apply_alert(ended(far, new_year + 1min), incident, rules, new_year + 1min).kind == ChangeKind::resolved);
    CHECK(apply_alert(ended(new_year + 30s, new_year + 1min), incident, rules, new_year + 1min).kind ==
          ChangeKind::resolved);
}

// --- expiry -------------------------------------------------------------------------------------------------------

TEST_CASE("an incident whose alert nobody vouches for any longer resolves and says that it expired") {
    Alert alert = firing(new_year);
    alert.ends_at = new_year + 4min;
    const Incident before = stored(apply_alert(alert, {}, rules, new_year));
    CHECK(expires_at(before) == new_year + 4min);
    CHECK(expire(before, rules, new_year + 4min - 1us).kind == ChangeKind::none);

    const Change change = expire(before, rules, new_year + 4min);
    CHECK(change.kind == ChangeKind::resolved);
    CHECK(change.notify);
    CHECK(change.incident.state == IncidentState::resolved);
    CHECK(change.incident.resolved_at == new_year + 4min);
    CHECK(change.incident.alert_count == before.alert_count);
    CHECK(change.incident.firings.all.front().expired());
    REQUIRE(change.events.size() == 1);
    CHECK(change.events.front() ==
          TimelineEvent{new_year + 4min, "resolved", "system",
                        "expired: the alert was not reported resolved, and nobody has vouched for it since "
                        "2026-01-01T00:04:00Z"});
}

TEST_CASE("an alert without an end never expires, nor does an incident that a person has opened again") {
    CHECK_FALSE(expires_at(in_state(IncidentState::detected)));
    CHECK(expire(in_state(IncidentState::detected), rules, new_year + 24h * 365).kind == ChangeKind::none);

    Alert alert = firing(new_year);
    alert.ends_at = new_year + 4min;
    Incident incident = stored(apply_alert(alert, {}, rules, new_year));
    incident = stored(expire(incident, rules, new_year + 5min));
    incident = stored(*move_to(incident, IncidentState::detected, "ada", "", rules, new_year + 6min));
    CHECK_FALSE(expires_at(incident));
    CHECK(expire(incident, rules, new_year + 24h).kind == ChangeKind::none);
}

TEST_CASE("the last firing that runs out decides when an incident expires") {
    Alert first = firing(new_year);
    first.ends_at = new_year + 4min;
    Alert second = firing(new_year + 1min);
    second.ends_at = new_year + 5min;
    Incident incident = stored(apply_alert(first, {}, rules, new_year));
    incident = stored(apply_alert(second, incident, rules, new_year + 1min));
    CHECK(expires_at(incident) == new_year + 5min);
    CHECK(expire(incident, rules, new_year + 4min).kind == ChangeKind::none);
    CHECK(expire(incident, rules, new_year + 6min).incident.resolved_at == new_year + 5min);
}

TEST_CASE("after a restart of its Prometheus an alert ends as it is reported, not when the firing before had run out") {
    Alert before_restart = firing(new_year);
    before_restart.ends_at = new_year + 4min;
    Alert after_restart = firing(new_year + 2min);
    after_restart.ends_at = new_year + 60min;
    Incident incident = stored(apply_alert(before_restart, {}, rules, new_year));
    incident = stored(apply_alert(after_restart, incident, rules, new_year + 56min));
    const Change ends = apply_alert(ended(new_year + 2min, new_year + 58min), incident, rules, new_year + 58min);
    CHECK(ends.kind == ChangeKind::updated);
    const Change change = expire(stored(ends), rules, new_year + 58min + 5s);
    CHECK(change.kind == ChangeKind::resolved);
    CHECK(change.incident.resolved_at == new_year + 58min);
    CHECK(change.events.front().detail ==
          "the alert ended at 2026-01-01T00:58:00Z; another firing of it had expired before");
}

TEST_CASE("an alert that expired and is sent again opens its incident again, however late") {
    Alert alert = firing(new_year);
    alert.ends_at = new_year + 4min;
    const Incident incident = stored(expire(stored(apply_alert(alert, {}, rules, new_year)), rules, new_year + 4min));
    for (const auto later : {5min, 600min}) {
        alert.ends_at = new_year + later + 4min;
        const Change change = apply_alert(alert, incident, rules, new_year + later);
        CHECK(change.kind == ChangeKind::reopened);
        CHECK(change.notify);
        CHECK(expires_at(change.incident) == alert.ends_at);
    }
}

// --- operators ----------------------------------------------------------------------------------------------------

TEST_CASE("life cycle: which state an operator can move an incident to from which") {
    using enum IncidentState;
    // rows: from; columns: to detected, triaged, investigating, remediating, resolved, closed
    const std::array<std::array<bool, 6>, 6> allowed{{
        {false, true, true, true, true, false},
        {true, false, true, true, true, false},
        {true, false, false, true, true, false},
        {true, false, false, false, true, false},
        {true, false, false, false, false, true},
        {true, false, false, false, false, false},
    }};
    const WallTime now = new_year + 1h;
    for (std::size_t from = 0; from < states.size(); ++from) {
        for (std::size_t to = 0; to < states.size(); ++to) {
            CAPTURE(to_string(states[from]), to_string(states[to]));
            const Incident before = in_state(states[from]);
            const auto change = move_to(before, states[to], "ada", "on it", rules, now);
            REQUIRE(change.has_value() == allowed[from][to]);
            if (!change) {
                CHECK(change.error().message.starts_with("an incident that is " + std::string{to_string(states[from])} +
                                                         " cannot be "));
                continue;
            }
            Incident expected = before;
            expected.state = states[to];
            expected.updated_at = now;
            if (states[to] == resolved) {
                expected.resolved_at = now;
                expected.firings.dismiss(now);
            }
            if (states[to] == detected && !is_open(states[from])) {
                expected.resolved_at.reset();
                expected.firings.restore(now);
            }
            const auto back = is_open(states[from]) ? ChangeKind::unacknowledged : ChangeKind::reopened;
            const auto kind = states[to] == detected   ? back
                              : states[to] == triaged  ? ChangeKind::acknowledged
                              : states[to] == resolved ? ChangeKind::resolved
                                                       : ChangeKind::state_changed;
            expected.timeline.push_back({now, std::string{to_string(kind)}, "ada",
                                         "from " + std::string{to_string(states[from])} + " to " +
                                             std::string{to_string(states[to])} + ": on it"});
            CHECK(change->incident == expected);
            CHECK(change->kind == kind);
            CHECK(change->notify == (kind != ChangeKind::state_changed));
        }
    }
}

TEST_CASE("a refused change says what is and what cannot be") {
    const auto message = [](IncidentState from, IncidentState to) {
        return move_to(in_state(from), to, "ada", "", rules, new_year + 1h).error().message;
    };
    using enum IncidentState;
    CHECK(message(closed, triaged) == "an incident that is closed cannot be acknowledged");
    CHECK(message(resolved, resolved) == "an incident that is resolved cannot be resolved");
    CHECK(message(triaged, closed) == "an incident that is triaged cannot be closed");
    CHECK(message(detected, detected) == "an incident that is detected cannot be moved to detected");
    CHECK(message(remediating, investigating) == "an incident that is remediating cannot be moved to investigating");
    CHECK(message(closed, remediating) == "an incident that is closed cannot be moved to remediating");
}

TEST_CASE("an operator's change without a note says only from where to where") {
    const auto change =
        move_to(in_state(IncidentState::detected), IncidentState::triaged, "ada", "", rules, new_year + 1h);
    REQUIRE(change);
    CHECK(change->incident.timeline.back().detail == "from detected to triaged");
}

TEST_CASE("a note can be added in every state and changes nothing else") {
    for (const auto state : states) {
        const Incident before = in_state(state);
        const Change change = add_note(before, "ada", "the cache was cold", rules, new_year + 1h);
        CHECK(change.kind == ChangeKind::noted);
        CHECK_FALSE(change.notify);
        Incident expected = before;
        expected.updated_at = new_year + 1h;
        expected.timeline.push_back({new_year + 1h, "note", "ada", "the cache was cold"});
        CHECK(change.incident == expected);
    }
}

TEST_CASE("a long note is cut at a code point") {
    const Incident before = in_state(IncidentState::detected);
    const auto kept = [&before](const std::string& text) {
        return add_note(before, "ada", text, rules, new_year).incident.timeline.back().detail;
    };
    const std::string most(max_note_bytes, 'x');
    CHECK(kept(most) == most);
    CHECK(kept(most + "y") == most + "…");
    // The euro sign takes three bytes, of which one or two would be left over.
    for (std::size_t lead : {1U, 2U}) {
        const std::string text = std::string(max_note_bytes - lead, 'x') + "€";
        CHECK(kept(text) == std::string(max_note_bytes - lead, 'x') + "…");
    }
    CHECK(kept(std::string(max_note_bytes + 1, '\x80')) == "…");
    const auto moved = move_to(before, IncidentState::triaged, "ada", most + "y", rules, new_year);
    REQUIRE(moved);
    CHECK(moved->incident.timeline.back().detail == "from detected to triaged: " + most + "…");
}

// --- timeline -----------------------------------------------------------------------------------------------------

TEST_CASE("a timeline keeps its first and its latest events, and one that stands for those between") {
    const IncidentRules few = rules_with(10min, 5);
    Incident incident = in_state(IncidentState::detected);
    for (int i = 1; i <= 4; ++i)
        incident = add_note(incident, "ada", std::to_string(i), few, new_year + 1min * i).incident;
    CHECK(incident.timeline.size() == 5);
    CHECK(incident.timeline[1].detail == "1");

    for (int i = 5; i <= 20; ++i) {
        incident = add_note(incident, "ada", std::to_string(i), few, new_year + 1min * i).incident;
        REQUIRE(incident.timeline.size() == 5);
        CHECK(incident.timeline[0].kind == "created");
        CHECK(incident.timeline[1].kind == "truncated");
        CHECK(incident.timeline[1].actor == "system");
        CHECK(incident.timeline[1].at == new_year + 1min * (i - 3));
        CHECK(incident.timeline[2].detail == std::to_string(i - 2));
        CHECK(incident.timeline[4].detail == std::to_string(i));
    }
}

TEST_CASE("a timeline is never cut below first, mark and latest") {
    std::vector<TimelineEvent> timeline;
    for (int i = 0; i < 6; ++i) timeline.push_back({new_year + 1min * i, "note", "ada", std::to_string(i)});
    for (std::size_t max : {0U, 1U, 2U, 3U}) {
        auto cut = timeline;
        truncate_timeline(cut, max);
        REQUIRE(cut.size() == 3);
        CHECK(cut[0] == timeline[0]);
        CHECK(cut[1].kind == "truncated");
        CHECK(cut[1].at == timeline[4].at);
        CHECK(cut[2] == timeline[5]);
    }
    auto whole = timeline;
    truncate_timeline(whole, 6);
    CHECK(whole == timeline);
    std::vector<TimelineEvent> nothing;
    truncate_timeline(nothing, 3);
    CHECK(nothing.empty());
}

TEST_CASE("an alert that flaps for ever leaves a bounded timeline") {
    const IncidentRules few = rules_with(10min, 7);
    std::optional<Incident> incident;
    for (int i = 0; i < 200; ++i) {
        const WallTime at = new_year + 1min * i;
        incident = stored(apply_alert(i % 2 == 0 ? firing(at) : ended(at - 1min, at), incident, few, at));
        CHECK(incident->timeline.size() <= 7);
    }
    CHECK(incident->alert_count == 200);
    CHECK(incident->timeline.size() == 7);
}

// --- names --------------------------------------------------------------------------------------------------------

TEST_CASE("states of incidents are read as they are written") {
    for (const auto state : states) CHECK(incident_state_from_string(to_string(state)) == state);
    CHECK(to_string(IncidentState::remediating) == "remediating");
    for (const char* text : {"", "Detected", "open", "closed "}) CHECK_FALSE(incident_state_from_string(text));
}

TEST_CASE("an incident is open until it is resolved or closed") {
    for (const auto state : states) {
        CHECK(is_open(state) == (state != IncidentState::resolved && state != IncidentState::closed));
    }
}

TEST_CASE("changes have the names that the API answers") {
    using enum ChangeKind;
    const std::vector<std::pair<ChangeKind, std::string_view>> names{
        {none, "none"},
        {repeated, "repeated"},
        {created, "created"},
        {updated, "updated"},
        {acknowledged, "acknowledged"},
        {unacknowledged, "unacknowledged"},
        {resolved, "resolved"},
        {reopened, "reopened"},
        {noted, "noted"},
        {state_changed, "state_changed"},
    };
    for (const auto& [kind, name] : names) CHECK(to_string(kind) == name);
}

TEST_CASE("Alertmanager tells of an alert again under the start that it reported ended: the incident reopens") {
    Alert alert = firing(new_year);
    alert.merged = true;
    Alert over = ended(new_year, new_year + 5min);
    over.merged = true;
    const auto created = apply_alert(alert, {}, {}, new_year);
    const auto resolved = apply_alert(over, created.incident, {}, new_year + 5min);
    REQUIRE(resolved.kind == ChangeKind::resolved);
    const auto reopened = apply_alert(alert, resolved.incident, {}, new_year + 6min);
    CHECK(reopened.kind == ChangeKind::reopened);
    CHECK(reopened.notify);
}

TEST_CASE("a severity that becomes an unknown word is said as well") {
    Alert alert = firing(new_year);
    alert.severity_word = "critical";
    const auto created = apply_alert(alert, {}, {}, new_year);
    alert.severity_word = "sky-high";
    const auto changed = apply_alert(alert, created.incident, {}, new_year + 1min);
    REQUIRE(changed.events.size() == 2);
    CHECK(changed.events[0].kind == "severity_changed");
    CHECK(changed.events[1].kind == "severity_unknown");
    CHECK(changed.incident.severity == Severity::p2);
}

}  // namespace fusebox::test
