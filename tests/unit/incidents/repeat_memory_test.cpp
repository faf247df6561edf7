#include "repeat_memory.hpp"

#include <array>
#include <atomic>
#include <thread>

#include "support/catch.hpp"
#include "unit/incidents/alert_samples.hpp"

namespace fusebox::test {

using namespace incidents;

namespace {

const SeverityWords words;

/// As it is stored at `version`.
Incident incident_of(const Alert& alert, std::uint64_t version, std::string id = "inc_1") {
    Incident incident = apply_alert(alert, {}, {}, new_year).incident;
    incident.id = std::move(id);
    incident.version = version;
    return incident;
}

std::optional<ChangeKind> ask(RepeatMemory& memory, const Alert& alert, WallTime now = new_year + 1min) {
    const auto answer = memory.answer(AlertKey{alert}, alert, words, now, RepeatMemory::Basis::store);
    return answer ? std::optional{answer->change} : std::nullopt;
}

std::size_t unstored(RepeatMemory& memory) { return memory.take_sightings(memory.take_unstored()).size(); }

}  // namespace

TEST_CASE("M2: a repeat is noted, and an incident that is read at the same version is brought up to date") {
    RepeatMemory memory;
    const Alert alert = firing(new_year);
    const Incident stored = incident_of(alert, 3);
    CHECK_FALSE(ask(memory, alert));
    memory.learn(stored, memory.ticket(), new_year);
    CHECK(ask(memory, alert) == ChangeKind::repeated);
    CHECK(ask(memory, alert, new_year + 2min) == ChangeKind::repeated);

    Incident read = stored;
    memory.overlay(read);
    CHECK(read.alert_count == 3);
    CHECK(read.last_seen == new_year + 2min);
    Incident older = incident_of(alert, 2);
    memory.overlay(older);
    CHECK(older == incident_of(alert, 2));

    const auto noted = memory.take_sightings(memory.take_unstored());
    REQUIRE(noted.size() == 1);
    CHECK(noted[0].sighting.version == 3);
    CHECK(noted[0].sighting.alert_count == 3);
    CHECK(unstored(memory) == 0);
    memory.give_back(std::array{noted[0].fingerprint});
    CHECK(unstored(memory) == 1);
}

TEST_CASE("M3: what was read or committed earlier does not replace what was committed later") {
    RepeatMemory memory;
    const Alert alert = firing(new_year);
    const auto ticket = memory.ticket();
    Incident resolved = incident_of(alert, 2);
    resolved.state = IncidentState::resolved;
    resolved.firings.dismiss(new_year);
    memory.committed(resolved, ticket, new_year);
    memory.learn(incident_of(alert, 1), ticket, new_year);
    memory.committed(incident_of(alert, 1), ticket, new_year);
    CHECK(ask(memory, alert) == ChangeKind::none);
}

TEST_CASE("M4: where two incidents of one fingerprint meet the memory knows nothing") {
    RepeatMemory memory;
    const Alert alert = firing(new_year);
    const auto ticket = memory.ticket();
    memory.committed(incident_of(alert, 5, "inc_1"), ticket, new_year);
    memory.committed(incident_of(alert, 1, "inc_2"), ticket, new_year);
    CHECK_FALSE(ask(memory, alert));
    memory.learn(incident_of(alert, 5, "inc_1"), ticket, new_year);
    CHECK_FALSE(ask(memory, alert));  // M5: the ticket is older than that
    memory.learn(incident_of(alert, 1, "inc_2"), memory.ticket(), new_year);
    CHECK(ask(memory, alert) == ChangeKind::repeated);
}

TEST_CASE("M5: what was read before an entry went is not put in its place") {
    RepeatMemory memory;
    const Alert alert = firing(new_year);
    const Incident stored = incident_of(alert, 1);
    SECTION("because nobody asked for it") {
        memory.learn(stored, memory.ticket(), new_year);
        const auto ticket = memory.ticket();
        memory.sweep(new_year + 1us);
        memory.learn(stored, ticket, new_year);
    }
    SECTION("because the store has another version") {
        memory.learn(stored, memory.ticket(), new_year);
        ask(memory, alert);
        const auto noted = memory.take_sightings(memory.take_unstored());
        REQUIRE(noted.size() == 1);
        const auto ticket = memory.ticket();
        memory.forget(noted.front());
        memory.learn(stored, ticket, new_year);
    }
    SECTION("because a commit could not be put in") {
        const auto before_sweep = memory.ticket();
        memory.learn(incident_of(firing(new_year, "Other"), 1), memory.ticket(), new_year);
        memory.sweep(new_year + 1us);
        const auto ticket = memory.ticket();
        memory.committed(incident_of(alert, 2), before_sweep, new_year);
        memory.learn(stored, ticket, new_year);
    }
    CHECK_FALSE(ask(memory, alert));
    memory.learn(stored, memory.ticket(), new_year);
    CHECK(ask(memory, alert) == ChangeKind::repeated);
}

TEST_CASE("M6: a full memory takes in no more, and forgets what nobody asks for, but nothing that is to be stored") {
    RepeatMemory memory{2};
    for (const auto* name : {"A", "B", "C"}) {
        memory.learn(incident_of(firing(new_year, name), 1, name), memory.ticket(), new_year);
    }
    CHECK(ask(memory, firing(new_year, "A"), new_year + 1min) == ChangeKind::repeated);
    CHECK_FALSE(ask(memory, firing(new_year, "C"), new_year + 1min));
    memory.sweep(new_year + 1h);
    CHECK_FALSE(ask(memory, firing(new_year, "B"), new_year + 1h));
    CHECK(unstored(memory) == 1);
    memory.learn(incident_of(firing(new_year, "C"), 1, "C"), memory.ticket(), new_year);
    CHECK(ask(memory, firing(new_year, "C"), new_year + 1h) == ChangeKind::repeated);
}

TEST_CASE("M7: a change without a ticket brings an entry up to date and makes none") {
    RepeatMemory memory;
    const Alert alert = firing(new_year);
    const auto before = memory.ticket();
    memory.committed(incident_of(alert, 2), RepeatMemory::no_ticket, new_year);
    CHECK_FALSE(ask(memory, alert));
    memory.learn(incident_of(alert, 1), before, new_year);  // void: version 2 could not be put in
    CHECK_FALSE(ask(memory, alert));
    memory.learn(incident_of(alert, 2), memory.ticket(), new_year);
    CHECK(ask(memory, alert) == ChangeKind::repeated);
    memory.committed(incident_of(alert, 3), RepeatMemory::no_ticket, new_year);
    Incident read = incident_of(alert, 3);
    read.alert_count = 0;
    memory.overlay(read);
    CHECK(read.alert_count == 1);
}

TEST_CASE("the memory answers what the rules would answer") {
    // Each message against the incident of a firing with an annotation, one minute later.
    Alert known = firing(new_year);
    known.annotations = {{"value", "1"}};
    const Incident stored = incident_of(known, 1);
    std::vector<Alert> messages;
    for (const auto start : {-1min, 0min, 1min}) {
        for (const auto* value : {"1", "2", ""}) {
            for (const bool over : {false, true}) {
                for (const auto severity : {std::optional<Severity>{}, std::optional{Severity::p0}}) {
                    Alert alert = over ? ended(new_year + start, new_year + 1min) : firing(new_year + start);
                    if (*value != '\0') alert.annotations = {{"value", value}};
                    alert.severity = severity;
                    messages.push_back(alert);
                }
            }
        }
    }
    for (const auto state : {IncidentState::triaged, IncidentState::resolved}) {
        Incident incident = stored;
        if (state == IncidentState::resolved) incident = move_to(stored, state, "ada", "", {}, new_year)->incident;
        for (const auto& message : messages) {
            RepeatMemory memory;
            memory.learn(incident, memory.ticket(), new_year);
            const Change ruled = apply_alert(message, incident, {}, new_year + 1min);
            const bool says_nothing = ruled.kind == ChangeKind::none || ruled.kind == ChangeKind::repeated;
            const auto answered = ask(memory, message);
            CHECK(answered.has_value() == says_nothing);
            if (!answered) continue;
            CHECK(*answered == ruled.kind);
            Incident after = incident;
            memory.overlay(after);
            CHECK(after == ruled.incident);
        }
    }
}

TEST_CASE("repeats from many threads are all counted") {
    RepeatMemory memory;
    const Alert alert = firing(new_year);
    memory.learn(incident_of(alert, 1), memory.ticket(), new_year);
    std::atomic<int> answered{0};
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                const AlertKey key{alert};
                for (int i = 0; i < 1'000; ++i) {
                    if (memory.answer(key, alert, words, new_year + 1min, RepeatMemory::Basis::memory)) ++answered;
                    if (i % 100 == 0) memory.give_back(memory.take_unstored());
                }
            });
        }
    }
    CHECK(answered == 4'000);
    Incident incident = incident_of(alert, 1);
    memory.overlay(incident);
    CHECK(incident.alert_count == 4'001);
}

}  // namespace fusebox::test
