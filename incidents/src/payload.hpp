// What a destination is told of an incident.
#pragma once

#include <string>

#include <fusebox/incidents/incident.hpp>

namespace fusebox::incidents {

/// `to_json` of the incident with the latest `IncidentStore::latest_events` events of its timeline, as receivers want
/// small messages (20 kB for webhooks), and with `notified` empty, as receivers need not know of each other.
[[nodiscard]] std::string payload_of(const Incident& incident);

}  // namespace fusebox::incidents
