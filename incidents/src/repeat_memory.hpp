// What the service remembers of incidents, so that a repeat is answered without the store.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/incidents/ports.hpp>

namespace fusebox::incidents {

/// An alert with what look-ups need of it; made once, before any lock.
struct AlertKey {
    using Digest = std::array<unsigned char, 16>;
    std::string fingerprint;
    Digest title{};
    Digest annotations{};

    explicit AlertKey(const Alert& alert);
    [[nodiscard]] static Digest digest_of(std::string_view title);
    [[nodiscard]] static Digest digest_of(const Labels& annotations);
};

/// One entry per fingerprint: the version of an incident as it was stored, with the sightings since.
///
/// Thread contract: any member from any thread.
///
/// M1  `mutex_` guards everything. It is not held while the store works.
/// M2  An entry of version v holds what the store has of version v, and the sightings that came since. So an incident
///     that is read at version v is brought up to date by `overlay`, and a sighting may be stored only where the
///     incident is still at version v (`IncidentStore::note_sightings`).
/// M3  The version of an entry never falls: what was read or committed earlier never replaces what was committed later,
///     in whatever order threads get here. So a late update never hides the change of a person.
/// M4  A missing entry is always right: the store is asked. Where two incidents of one fingerprint meet, no version
///     says which came later, so the entry goes.
/// M5  Nothing old is put where an entry is missing. A thread takes a ticket before it reads the store. Whatever
///     removes an entry, and whatever was committed and could not be put in, makes all tickets void. So where a
///     ticket holds and the entry is missing, nothing was committed that the thread has not seen, but what it has
///     committed itself.
/// M7  An entry is made only of the incident that alerts of its fingerprint are about, as
///     `IncidentStore::latest_by_fingerprints` finds it. People and upkeep change older incidents too, and have no
///     ticket: a resolve that was judged by an older incident would be lost to the one that is open.
/// M6  Bounded: a full memory takes in no further fingerprints, and what nobody asks for is dropped (`sweep`). Dropping
///     the oldest to make room would lose each entry just before its next repeat, where there are more alerts than
///     room.
class RepeatMemory {
public:
    explicit RepeatMemory(std::size_t capacity = 100'000) : capacity_(capacity) {}

    using Ticket = std::uint64_t;
    [[nodiscard]] Ticket ticket() const;
    static constexpr Ticket no_ticket{0};  ///< never holds: brings an entry up to date and makes none (M7)

    /// Whether the caller has just read the store, and told of it by `learn`.
    enum class Basis : bool { memory, store };
    /// The answer to an alert that says nothing new, whose sighting is noted by the same call; else nothing.
    std::optional<IntakeResult> answer(const AlertKey& key, const Alert& alert, const SeverityWords& words,
                                       WallTime now, Basis basis);
    /// Takes in what was read from the store after `ticket`.
    void learn(const Incident& incident, Ticket ticket, WallTime now);
    /// Takes in what was committed, with the version that it has in the store.
    void committed(const Incident& incident, Ticket ticket, WallTime now);
    /// Adds the sightings since the version that was read (M2).
    void overlay(Incident& incident) const;

    struct Noted {
        std::string fingerprint;
        Sighting sighting;
    };
    /// The fingerprints that have a sighting to store; from now on nobody else is told of them.
    std::vector<std::string> take_unstored();
    /// The sightings of these fingerprints that are still to be stored.
    std::vector<Noted> take_sightings(std::span<const std::string> fingerprints);
    /// The store did not take the sightings of these fingerprints: they are to be taken again.
    void give_back(std::span<const std::string> fingerprints);
    /// The store says that the incident is gone or at another version.
    void forget(const Noted& noted);
    /// Drops what has not been asked for since `before`, where nothing is left to store.
    void sweep(WallTime before);

private:
    struct Entry {
        std::string incident_id;
        std::uint64_t version{};
        bool open{};
        Severity severity{};
        AlertKey::Digest title{};
        AlertKey::Digest annotations{};
        std::uint64_t alert_count{};
        WallTime last_seen{};
        Firings firings;
        WallTime asked_at{};
        bool noted{};  ///< a sighting is to be stored: the fingerprint stands in unstored_, or was taken from there

        Entry(const Incident& incident, WallTime now);
    };

    void put(const Incident& incident, Ticket ticket, WallTime now, bool is_commit);

    const std::size_t capacity_;
    mutable std::mutex mutex_;  ///< M1
    std::unordered_map<std::string, Entry> entries_;
    std::vector<std::string> unstored_;  ///< fingerprints; some may have lost their entry since
    Ticket current_{1};                  ///< M5
};

}  // namespace fusebox::incidents
