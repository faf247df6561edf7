// Lists of many incidents: what they find, what they cost, and whom they keep waiting.
#include <algorithm>
#include <random>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/storage/circuit_breaker_store.hpp>
#include <fusebox/storage/memory_store.hpp>

#include "delivery_results.hpp"
#include "sqlite_file.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace storage;
using Kind = StoreError::Kind;
using SteadyClock = std::chrono::steady_clock;

namespace {

/// All ids of `query`, page by page; `pages` says how many that took.
std::vector<std::string> all_ids(Store& store, IncidentQuery query, int& pages) {
    std::vector<std::string> ids;
    for (pages = 1;; ++pages) {
        const auto page = store.list(query, {});
        INFO((page ? "" : page.error().message));
        REQUIRE(page);
        REQUIRE(page->items.size() <= query.limit);
        for (const auto& incident : page->items) ids.push_back(incident.id);
        if (!page->next_cursor) return ids;
        REQUIRE(pages < 1000);
        query.cursor = *page->next_cursor;
    }
}
std::vector<std::string> all_ids(Store& store, const IncidentQuery& query) {
    int pages = 0;
    return all_ids(store, query, pages);
}

template <class T>
std::vector<T> some_of(std::mt19937& random, std::vector<T> values) {
    std::erase_if(values, [&](const T&) { return random() % 3 != 0; });
    return values;
}

}  // namespace

TEST_CASE("lists by indexes show what a store shows that looks at every incident, in the same order") {
    std::mt19937 random{20261121};  // the same incidents and queries in each run
    const SqliteFile file;
    const auto by_index = file.open();
    MemoryStore by_looking;
    const auto both = [&](const IncidentWrite& write) {
        REQUIRE(by_index->commit({&write, 1}, {}));
        REQUIRE(by_looking.commit({&write, 1}, {}));
    };
    const std::vector names{"team", "zone", "tier"};
    for (int i = 0; i < 300; ++i) {
        // Few moments, so that many incidents have the same; and not in the order of storing.
        Incident incident = sample_incident("inc_" + std::to_string(i), "f" + std::to_string(i),
                                            new_year + 1s * static_cast<int>(random() % 40));
        incident.title = "title " + std::to_string(random() % 7);
        incident.state = static_cast<IncidentState>(random() % 6);
        incident.severity = static_cast<Severity>(random() % 5);
        incident.labels.clear();
        for (const auto* name : names)
            if (random() % 2 == 0) incident.labels[name] = std::to_string(random() % 4);
        both({.incident = incident, .events = incident.timeline, .notifications = {}});
        if (random() % 3 == 0) {
            incident.version = 1;
            incident.state = static_cast<IncidentState>(random() % 6);
            incident.severity = static_cast<Severity>(random() % 5);
            if (random() % 4 == 0) incident.labels["zone"] = "moved";
            both({.incident = incident, .events = {}, .notifications = {}});
        }
    }
    std::size_t found = 0;
    for (int i = 0; i < 150; ++i) {
        IncidentQuery query;
        query.limit = 1 + random() % 20;
        if (random() % 2 == 0)
            query.states = some_of(random, std::vector{IncidentState::detected, IncidentState::triaged,
                                                       IncidentState::resolved, IncidentState::closed});
        if (random() % 2 == 0)
            query.severities = some_of(random, std::vector{Severity::p4, Severity::p0, Severity::p0, Severity::p2});
        for (const auto* name : names)
            if (random() % 3 == 0) query.labels[name] = random() % 8 == 0 ? "moved" : std::to_string(random() % 4);
        if (random() % 4 == 0) query.text = "TITLE " + std::to_string(random() % 8);
        const auto ids = all_ids(*by_index, query);
        CHECK(ids == all_ids(by_looking, query));
        found += ids.size();
    }
    CHECK(found > 1000);  // the queries are not about nothing
}

TEST_CASE("a search that finds little looks at a bounded number of incidents per page and then goes on") {
    const SqliteFile file;
    const auto store = file.open();
    constexpr int incidents = 50'000;
    file.fill(incidents);
    IncidentQuery query;
    SECTION("titles") {
        query.text = "title 17";
        query.limit = 500;
        int pages = 0;
        const auto ids = all_ids(*store, query, pages);
        // 17, 170 … 179, 1700 … 1799, 17000 … 17999
        CHECK(ids.size() == 1 + 10 + 100 + 1000);
        CHECK(std::ranges::is_sorted(ids, std::greater{}, [](const auto& id) { return std::stoi(id.substr(4)); }));
        query.text = "no such title";
        const auto first = store->list(query, {}).value();
        CHECK(first.items.empty());
        REQUIRE(first.next_cursor);
        CHECK(all_ids(*store, query, pages).empty());
        CHECK(pages > 2);
        CHECK(pages < 20);
    }
    SECTION("filters that have nothing in common") {
        query.labels = {{"parity", "even"}};
        query.severities = {Severity::p1};  // only odd ones
        int pages = 0;
        CHECK(all_ids(*store, query, pages).empty());
        CHECK(pages > 1);
        CHECK(pages < 20);
    }
    SECTION("a rare label among common ones is found at once") {
        Incident rare = sample_incident("inc_rare", "rare", WallTime{100us});
        rare.labels = {{"a", "b"}, {"parity", "even"}, {"rare", "yes"}};
        REQUIRE(store->commit(std::vector{IncidentWrite{.incident = rare, .events = {}, .notifications = {}}}, {}));
        query.labels = rare.labels;
        int pages = 0;
        CHECK(all_ids(*store, query, pages) == std::vector<std::string>{"inc_rare"});
        CHECK(pages == 1);
    }
}

TEST_CASE("slow lists neither open the breaker of the store nor keep alerts from being stored") {
    const SqliteFile file;
    const auto inner = std::shared_ptr<Store>{file.open()};
    file.fill(30'000);
    const CircuitBreakerConfig config{.consecutive_failure_threshold = 3, .operation_timeout = 4s};
    const auto breaker = std::make_shared<CircuitBreaker>("store", config);
    const auto breaker_for_people = std::make_shared<CircuitBreaker>("store-reads", config);
    CircuitBreakerStore store{inner, breaker, breaker_for_people};

    std::atomic<bool> done{false};
    std::atomic<int> timed_out{0};
    std::vector<std::jthread> readers;
    for (int i = 0; i < 12; ++i) {
        readers.emplace_back([&] {
            IncidentQuery query;
            query.text = "no such title";
            while (!done) {
                const auto page =
                    store.list(query, {.deadline = SteadyClock::now() + 2ms, .stop = {}, .for_people = true});
                if (!page && page.error().kind == Kind::timeout) ++timed_out;
            }
        });
    }
    while (timed_out < 12) std::this_thread::yield();
    for (int i = 0; i < 40; ++i) {
        const std::string id = "new_" + std::to_string(i);
        const std::vector fingerprints{"fingerprint of " + id};
        const RequestContext soon{.deadline = SteadyClock::now() + 5s, .stop = {}};
        REQUIRE(store.latest_by_fingerprints(fingerprints, soon));
        REQUIRE(add(store, id, soon));
    }
    done = true;
    readers.clear();
    CHECK(breaker->state() == State::closed);
    CHECK(breaker->metrics().totals.timeouts == 0);
    CHECK(breaker->metrics().totals.failures == 0);
    // Their own deadline ended them, which says nothing about the store.
    CHECK(breaker_for_people->state() == State::closed);
    CHECK(breaker_for_people->metrics().totals.ignored >= 12);
}

TEST_CASE("reads for people wait for one another and not for those of intake") {
    const SqliteFile file;
    const auto store = SqliteStore::open({.path = file.path(), .readers = 1, .readers_for_people = 1}).value();
    file.fill(40'000);
    std::atomic<bool> done{false};
    std::atomic<int> lists{0};
    std::atomic<int> refused{0};
    std::jthread list{[&] {
        IncidentQuery query;
        query.text = "no such title";
        while (!done) ++(store->list(query, {.deadline = {}, .stop = {}, .for_people = true}) ? lists : refused);
    }};
    while (lists == 0 && refused == 0) std::this_thread::yield();
    const std::vector<std::string> fingerprints{"f7"};
    SteadyClock::duration longest{};
    for (int i = 0; i < 50; ++i) {
        const auto began = SteadyClock::now();
        REQUIRE(store->latest_by_fingerprints(fingerprints, {}).value().size() == 1);
        longest = std::max(longest, SteadyClock::now() - began);
    }
    done = true;
    list.join();
    CHECK(refused == 0);
    CHECK(longest < 1s);
}

}  // namespace fusebox::test
