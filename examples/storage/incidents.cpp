// Incidents in a program of one's own: alerts in, a person's changes, upkeep, a copy. Calendar time is set by hand.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/storage/sqlite_store.hpp>
#include <iostream>
#include <string>
#include <variant>

namespace incidents = fusebox::incidents;
using namespace std::chrono_literals;

namespace {

std::string why(const incidents::ChangeError& error) {
    if (const auto* refused = std::get_if<incidents::TransitionRefused>(&error)) return refused->message;
    return std::get<incidents::StoreError>(error).message;
}

int run(const std::filesystem::path& folder) {
    auto opened = fusebox::storage::SqliteStore::open({.path = folder / "shop.db"});
    if (!opened) {
        std::cerr << opened.error().message << '\n';
        return 1;
    }
    auto& store = **opened;

    // A service gives std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()).
    incidents::WallTime now = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1};
    const incidents::RoutingTable nobody;  // examples/notifications/webhook.cpp tells somebody
    incidents::IncidentService service{
        store,
        nobody,
        {},
        [&now] { return now; },
        [](const incidents::Change& change) { std::cout << "  " << to_string(change.kind) << '\n'; }};

    // Alerts are checked by whoever reads them from outside: UTF-8, bounded, at least one label.
    const auto bring = [&](const std::string& what) {
        const incidents::Alert alert{.source = "shop",
                                     .title = "The disk is full",
                                     .labels = {{"alertname", "DiskFull"}, {"severity", "critical"}},
                                     .start_stated = false,   // it begins with its first message
                                     .ends_at = now + 5min};  // expires unless it is sent again
        std::cout << what << '\n';
        const auto results = service.ingest({&alert, 1});
        if (!results) std::cout << "  nothing was stored: " << results.error().message << '\n';
        return results ? results->front().incident_id : std::string{};
    };
    const auto id = bring("an alert");
    now += 30s;
    bring("its repeat changes no incident and writes nothing");

    const auto stored = store.get(id, {});
    if (!stored) return 1;
    auto shown = *stored;
    service.add_sightings(shown);  // what repeats have said since
    std::cout << "messages stored: " << stored->alert_count << ", shown: " << shown.alert_count << '\n';
    std::cout << "repeats stored of " << service.flush_sightings().value_or(0) << " incident\n";

    std::cout << "anna\n";
    (void)service.acknowledge(id, "anna", "on it");
    if (const auto again = service.acknowledge(id, "anna", ""); !again)
        std::cout << "  refused: " << why(again.error()) << '\n';

    // For people: reads that never wait in the way of alerts.
    const auto page = store.list({.severities = {incidents::Severity::p0}, .limit = 10}, {.for_people = true});
    for (const auto& incident : page ? page->items : std::vector<incidents::Incident>{})
        std::cout << to_string(incident.severity) << ' ' << to_string(incident.state) << ": " << incident.title << '\n';

    // Upkeep: a thread of the program calls expire() every few seconds, close_resolved(), prune() and flush_sightings()
    // (at least every 30 s). Nothing expires before sources have had a resend_period to send again.
    std::cout << "the source falls silent\n";
    for (int i = 0; i < 10; ++i) {
        now += 30s;
        (void)service.expire();
    }
    std::cout << "a day later\n";
    now += 24h;
    const auto closed = service.close_resolved();
    std::cout << "closed: " << closed.value_or(0) << '\n';

    const auto copied = fusebox::storage::SqliteStore::back_up(folder / "shop.db", folder / "copy.db", {});
    std::cout << (copied ? "copied" : copied.error().message) << '\n';

    now += 24h * 90;
    const auto pruned = store.prune({.incidents_before = now - 24h * 30, .notifications_before = now - 24h * 30}, {});
    std::cout << "pruned: " << (pruned ? pruned->incidents : 0) << '\n';

    const auto last = service.flush_sightings();  // once more before the end
    return last ? 0 : 1;
}

}  // namespace

int main() {
    auto name = (std::filesystem::temp_directory_path() / "fusebox-example-XXXXXX").string();
    if (!mkdtemp(name.data())) return 1;
    const int result = run(name);
    std::filesystem::remove_all(name);
    return result;
}
