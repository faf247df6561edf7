// Lists of incidents: newest first, filtered, a page at a time.
#pragma once

#include <optional>
#include <string>

#include <fusebox/incidents/ports.hpp>

#include "rules.hpp"
#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// The page of `query` that begins after `start`, or at the newest incident.
///
/// Every filter but the text is an index whose entries are in the order of the list, so a page costs what it shows, not
/// what the store holds: the entries that several filters have in common are found by leaping in each index to where
/// the others are. Titles are read one by one, and filters that have little in common need many leaps; so a page looks
/// at a bounded number of entries, and then ends short with a cursor. An incident that cannot be read is left out, and
/// `unreadable` says why.
[[nodiscard]] incidents::Page<incidents::Incident> list_incidents(Connection& connection,
                                                                  const incidents::IncidentQuery& query,
                                                                  const std::optional<rules::IncidentPosition>& start,
                                                                  std::optional<std::string>& unreadable);

}  // namespace fusebox::storage::sqlite
