#include "sqlite/incident_list.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sqlite/columns.hpp"
#include "sqlite/incident_rows.hpp"
#include "sqlite/label_hash.hpp"

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;

namespace {

/// What one page looks at, at most, in entries of an index: some 20 ms.
constexpr int max_looks = 20'000;
/// A title lies in the row of its incident, and costs as much as so many entries.
constexpr int looks_per_title = 2;
/// So many entries are stepped over before the index is searched anew.
constexpr int steps_before_leap = 8;

/// A place in the list; greater is newer.
struct Position {
    std::int64_t created_at{};
    std::int64_t key{};
    auto operator<=>(const Position&) const = default;
};
constexpr Position newest{.created_at = std::numeric_limits<std::int64_t>::max(),
                          .key = std::numeric_limits<std::int64_t>::max()};

/// The entries of an index that have the same prefix, newest first.
class Run {
public:
    /// The last two parameters of `sql` are a position; those before them are the prefix.
    Run(Connection& connection, std::string_view sql, std::vector<std::int64_t> prefix, int& looks)
        : entries_(connection.prepare(sql)), prefix_(std::move(prefix)), looks_(looks) {}

    /// The newest entry that is not newer than `limit`, which never grows from call to call.
    std::optional<Position> at_or_before(const Position& limit) {
        for (int steps = 0; !ended_ && (!current_ || *current_ > limit); ++steps) {
            if (!current_ || steps == steps_before_leap) {
                entries_.again();
                for (const auto number : prefix_) entries_.bind(number);
                entries_.bind(limit.created_at).bind(limit.key);
            }
            ++looks_;
            if (entries_.step()) {
                current_ = {.created_at = entries_.number(0), .key = entries_.number(1)};
            } else {
                ended_ = true;
                current_.reset();
            }
        }
        return current_;
    }

private:
    Statement entries_;
    std::vector<std::int64_t> prefix_;
    int& looks_;
    std::optional<Position> current_;
    bool ended_{false};
};

/// Entries that are in any of several runs.
class Filter {
public:
    void add(std::unique_ptr<Run> run) { runs_.push_back(std::move(run)); }
    std::optional<Position> at_or_before(const Position& limit) {
        std::optional<Position> found;
        for (const auto& run : runs_) found = std::max(found, run->at_or_before(limit));
        return found;
    }

private:
    std::vector<std::unique_ptr<Run>> runs_;
};

template <class Enum>
std::vector<Enum> any_if_empty(std::vector<Enum> values, Enum last) {
    if (values.empty())
        for (std::int64_t number = 0; number <= number_of(last); ++number) values.push_back(static_cast<Enum>(number));
    std::ranges::sort(values);
    values.erase(std::ranges::unique(values).begin(), values.end());
    return values;
}

/// Walks down the incidents that pass all filters of a query but the text.
class Walk {
public:
    Walk(Connection& connection, const IncidentQuery& query, int& looks) : looks_(looks) {
        for (const auto& [name, value] : query.labels) {
            filters_.emplace_back().add(std::make_unique<Run>(
                connection,
                "SELECT created_at, incident FROM incident_labels WHERE label = ? AND (created_at, incident) <= (?, ?) "
                "ORDER BY created_at DESC, incident DESC",
                std::vector{label_hash(name, value)}, looks));
        }
        if (!filters_.empty() && query.states.empty() && query.severities.empty()) return;
        auto& classes = filters_.emplace_back();
        for (const auto state : any_if_empty(query.states, IncidentState::closed))
            for (const auto severity : any_if_empty(query.severities, Severity::p4))
                classes.add(std::make_unique<Run>(connection,
                                                  "SELECT created_at, key FROM incidents INDEXED BY incidents_by_state "
                                                  "WHERE state = ? AND severity = ? AND (created_at, key) <= (?, ?) "
                                                  "ORDER BY created_at DESC, key DESC",
                                                  std::vector{number_of(state), number_of(severity)}, looks));
    }

    /// Lowers `at` to the next incident. False: there is none, or so many entries were looked at that the page ends
    /// here; `at` then is where the list goes on.
    bool next(Position& at) {
        while (looks_ < max_looks) {
            const Position before = at;
            for (auto& filter : filters_) {
                const auto entry = filter.at_or_before(at);
                if (!entry) {
                    ended_ = true;
                    return false;
                }
                at = *entry;
            }
            if (filters_.size() == 1 || at == before) return true;  // every filter has an entry just here
        }
        return false;
    }
    /// There is nothing below where the walk stopped.
    [[nodiscard]] bool ended() const noexcept { return ended_; }

private:
    int& looks_;
    std::vector<Filter> filters_;
    bool ended_{false};
};

bool has_labels(const Incident& incident, const Labels& labels) {
    return std::ranges::all_of(labels, [&](const auto& label) {
        const auto found = incident.labels.find(label.first);
        return found != incident.labels.end() && found->second == label.second;
    });
}

std::string cursor_at(const Position& position) {
    return rules::cursor_after({.created_at = WallTime{WallTime::duration{position.created_at}},
                                .order = static_cast<std::uint64_t>(position.key)});
}

}  // namespace

Page<Incident> list_incidents(Connection& connection, const IncidentQuery& query,
                              const std::optional<rules::IncidentPosition>& start,
                              std::optional<std::string>& unreadable) {
    static const std::string select =
        "SELECT " + std::string{incident_columns} + " FROM " + std::string{incident_tables} + " WHERE row.key = ?";
    const Connection::Snapshot snapshot{connection};  // an incident in two lists of an index would be shown twice
    const std::string text = rules::fold_case(query.text);
    int looks = 0;
    Walk walk{connection, query, looks};
    Position at = newest;
    if (start)
        at = {.created_at = start->created_at.time_since_epoch().count(),
              .key = static_cast<std::int64_t>(start->order) - 1};

    Page<Incident> page;
    Position last_shown{};
    std::size_t bytes = 0;
    for (; walk.next(at); --at.key) {
        if (!text.empty()) {
            looks += looks_per_title;
            auto title = connection.prepare("SELECT title FROM incidents WHERE key = ?");
            if (!title.bind(at.key).step() || !rules::fold_case(title.text(0)).contains(text)) continue;
        }
        auto row = connection.prepare(select);
        if (!row.bind(at.key).step()) continue;
        Incident incident;
        try {
            incident = read_incident(row);
        } catch (const Failure& failure) {
            unreadable = failure.error().message;
            continue;
        }
        if (!has_labels(incident, query.labels)) continue;  // another label has the same hash
        if (page.items.size() == query.limit || bytes >= rules::max_page_bytes) {
            page.next_cursor = cursor_at(last_shown);
            return page;
        }
        bytes += rules::text_bytes(incident);
        page.items.push_back(std::move(incident));
        last_shown = at;
    }
    if (!walk.ended()) page.next_cursor = cursor_at({.created_at = at.created_at, .key = at.key + 1});
    return page;
}

}  // namespace fusebox::storage::sqlite
