// A store behind a breaker: what counts, what is refused, what is passed down.
#include <fusebox/storage/circuit_breaker_store.hpp>

#include <chrono>
#include <stdexcept>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"
#include "support/incident_samples.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace incidents;
using namespace storage;
using Kind = StoreError::Kind;
using SteadyClock = std::chrono::steady_clock;

namespace {

/// Answers everything as it is told to.
class ScriptedStore final : public Store {
public:
    std::optional<Kind> fails_with;
    std::function<void()> meanwhile = [] {};
    int calls = 0;
    RequestContext last_context;

    StoreResult<void> commit(std::span<const IncidentWrite>, const RequestContext& context) override {
        return answer<void>(context);
    }
    StoreResult<Incident> get(std::string_view, const RequestContext& context) override {
        return answer<Incident>(context);
    }
    StoreResult<std::map<std::string, Incident, std::less<>>> latest_by_fingerprints(
        std::span<const std::string>, const RequestContext& context) override {
        return answer<std::map<std::string, Incident, std::less<>>>(context);
    }
    StoreResult<std::vector<std::string>> note_sightings(std::span<const Sighting>,
                                                         const RequestContext& context) override {
        return answer<std::vector<std::string>>(context);
    }
    StoreResult<std::vector<std::string>> expiring(WallTime, std::size_t, const RequestContext& context) override {
        return answer<std::vector<std::string>>(context);
    }
    StoreResult<std::vector<std::string>> resolved_before(WallTime, std::size_t,
                                                          const RequestContext& context) override {
        return answer<std::vector<std::string>>(context);
    }
    StoreResult<PruneCounts> prune(const PruneQuery&, const RequestContext& context) override {
        return answer<PruneCounts>(context);
    }
    StoreResult<Page<Incident>> list(const IncidentQuery&, const RequestContext& context) override {
        return answer<Page<Incident>>(context);
    }
    StoreResult<std::map<IncidentState, std::uint64_t>> incident_counts(const RequestContext& context) override {
        return answer<std::map<IncidentState, std::uint64_t>>(context);
    }
    StoreResult<void> check_writable(const RequestContext& context) override { return answer<void>(context); }
    StoreResult<std::vector<Notification>> lease(std::string_view, WallTime, std::chrono::milliseconds, std::size_t,
                                                 const RequestContext& context) override {
        return answer<std::vector<Notification>>(context);
    }
    StoreResult<void> settle(std::string_view, std::string_view, const DeliveryResult&,
                             const RequestContext& context) override {
        return answer<void>(context);
    }
    StoreResult<std::optional<WallTime>> next_due(std::string_view, const RequestContext& context) override {
        return answer<std::optional<WallTime>>(context);
    }
    StoreResult<std::uint64_t> release_leases(WallTime, const RequestContext& context) override {
        return answer<std::uint64_t>(context);
    }
    StoreResult<Notification> get_notification(std::string_view, const RequestContext& context) override {
        return answer<Notification>(context);
    }
    StoreResult<Page<Notification>> list_notifications(const NotificationQuery&,
                                                       const RequestContext& context) override {
        return answer<Page<Notification>>(context);
    }
    StoreResult<Notification> replay(std::string_view, WallTime, const RequestContext& context) override {
        return answer<Notification>(context);
    }
    StoreResult<void> enqueue(const NotificationDraft&, const RequestContext& context) override {
        return answer<void>(context);
    }
    StoreResult<std::map<std::string, std::map<NotificationState, std::uint64_t>>> counts(
        const RequestContext& context) override {
        return answer<std::map<std::string, std::map<NotificationState, std::uint64_t>>>(context);
    }

private:
    template <class T>
    StoreResult<T> answer(const RequestContext& context) {
        ++calls;
        last_context = context;
        meanwhile();
        if (fails_with)
            return std::unexpected(StoreError{.kind = *fails_with, .message = "as told", .retry_after = std::nullopt});
        return StoreResult<T>{};
    }
};

struct Guarded {
    fusebox::ManualClock clock;
    std::shared_ptr<ScriptedStore> inner = std::make_shared<ScriptedStore>();
    std::shared_ptr<CircuitBreaker> breaker = std::make_shared<CircuitBreaker>(
        "store",
        fusebox::CircuitBreakerConfig{
            .consecutive_failure_threshold = 3, .open_timeout = 5s, .success_threshold = 1, .operation_timeout = 10s},
        fusebox::BreakerOptions{.clock = &clock});
    CircuitBreakerStore store{inner, breaker};

    /// Calls every member once and gives what kind of error each had; none for a value.
    std::vector<std::optional<Kind>> call_everything() {
        std::vector<std::optional<Kind>> kinds;
        const auto note = [&](const auto& result) {
            kinds.push_back(result ? std::nullopt : std::optional{result.error().kind});
        };
        const RequestContext context;
        note(store.commit({}, context));
        note(store.get("", context));
        note(store.latest_by_fingerprints({}, context));
        note(store.note_sightings({}, context));
        note(store.expiring(new_year, 1, context));
        note(store.resolved_before(new_year, 1, context));
        note(store.prune({}, context));
        note(store.list({}, context));
        note(store.incident_counts(context));
        note(store.check_writable(context));
        note(store.lease("", new_year, 1s, 1, context));
        note(store.settle("", "", {}, context));
        note(store.next_due("", context));
        note(store.get_notification("", context));
        note(store.list_notifications({}, context));
        note(store.replay("", new_year, context));
        note(store.enqueue({}, context));
        note(store.counts(context));
        note(store.release_leases(new_year, context));
        return kinds;
    }
};

}  // namespace

TEST_CASE("a store that keeps failing opens the breaker, which then answers for it") {
    Guarded guarded;
    guarded.inner->fails_with = Kind::unavailable;
    for (int i = 0; i < 3; ++i) {
        const auto failed = guarded.store.check_writable({});
        CHECK(failed.error().kind == Kind::unavailable);
        CHECK(failed.error().message == "as told");
    }
    CHECK(guarded.breaker->state() == fusebox::State::open);

    guarded.clock.advance(2s);
    const auto rejected = guarded.store.check_writable({});
    REQUIRE_FALSE(rejected);
    CHECK(rejected.error().kind == Kind::rejected);
    CHECK(rejected.error().retry_after == 3s);
    CHECK(rejected.error().message.find("open") != std::string::npos);
    CHECK(guarded.inner->calls == 3);

    guarded.inner->fails_with.reset();
    guarded.clock.advance(3s);
    CHECK(guarded.store.check_writable({}));
    CHECK(guarded.breaker->state() == fusebox::State::closed);
}

TEST_CASE("every call of the store goes through the breaker") {
    Guarded guarded;
    constexpr std::size_t members = 19;
    CHECK(guarded.call_everything() == std::vector<std::optional<Kind>>(members));
    CHECK(guarded.inner->calls == members);
    CHECK(guarded.breaker->metrics().totals.successes == members);

    guarded.breaker->force_open("test");
    CHECK(guarded.call_everything() == std::vector<std::optional<Kind>>(members, Kind::rejected));
    CHECK(guarded.inner->calls == members);
}

TEST_CASE("only what speaks against the store's health counts against it") {
    const auto outcome = [](Kind kind) { return outcome_of({.kind = kind, .message = {}, .retry_after = {}}); };
    CHECK(outcome(Kind::unavailable) == Outcome::failure);
    CHECK(outcome(Kind::corrupt) == Outcome::failure);
    CHECK(outcome(Kind::timeout) == Outcome::timeout);
    CHECK(outcome(Kind::conflict) == Outcome::ignored);
    CHECK(outcome(Kind::not_found) == Outcome::ignored);
    CHECK(outcome(Kind::invalid) == Outcome::ignored);
    CHECK(outcome(Kind::rejected) == Outcome::ignored);

    Guarded guarded;
    for (const auto kind : {Kind::conflict, Kind::not_found, Kind::invalid}) {
        guarded.inner->fails_with = kind;
        for (int i = 0; i < 5; ++i) CHECK(guarded.store.get("inc_1", {}).error().kind == kind);
    }
    CHECK(guarded.breaker->state() == fusebox::State::closed);
    CHECK(guarded.breaker->metrics().totals.ignored == 15);
    CHECK(guarded.breaker->metrics().totals.failures == 0);
}

TEST_CASE("the earlier deadline is passed down, and the caller's stop token") {
    Guarded guarded;
    std::stop_source stop;
    const auto soon = SteadyClock::now() + 3s;
    REQUIRE(guarded.store.check_writable({.deadline = soon, .stop = stop.get_token()}));
    CHECK(guarded.inner->last_context.deadline == soon);
    CHECK(guarded.inner->last_context.stop == stop.get_token());

    const auto before = SteadyClock::now();
    REQUIRE(guarded.store.check_writable({.deadline = before + 1h, .stop = {}}));
    REQUIRE(guarded.inner->last_context.deadline);
    CHECK(*guarded.inner->last_context.deadline >= before + 10s);
    CHECK(*guarded.inner->last_context.deadline <= SteadyClock::now() + 10s);

    REQUIRE(guarded.store.check_writable({}));
    CHECK(guarded.inner->last_context.deadline.has_value());
}

TEST_CASE("without deadlines none is made up") {
    const auto inner = std::make_shared<ScriptedStore>();
    CircuitBreakerStore store{inner, std::make_shared<CircuitBreaker>(
                                         "store", fusebox::CircuitBreakerConfig{.operation_timeout = std::nullopt})};
    REQUIRE(store.check_writable({}));
    CHECK(inner->last_context.deadline == std::nullopt);
}

TEST_CASE("a call that its caller cancelled says nothing about the store") {
    Guarded guarded;
    guarded.inner->fails_with = Kind::timeout;
    for (int i = 0; i < 5; ++i) {
        std::stop_source stop;
        guarded.inner->meanwhile = [&] { stop.request_stop(); };
        CHECK(guarded.store.check_writable({.deadline = {}, .stop = stop.get_token()}).error().kind == Kind::timeout);
    }
    CHECK(guarded.breaker->state() == fusebox::State::closed);
    CHECK(guarded.breaker->metrics().totals.ignored == 5);

    guarded.inner->meanwhile = [] {};
    for (int i = 0; i < 3; ++i) CHECK_FALSE(guarded.store.check_writable({}));
    CHECK(guarded.breaker->state() == fusebox::State::open);
    CHECK(guarded.breaker->metrics().totals.timeouts == 3);
}

TEST_CASE("a read that its caller's own deadline ended says nothing about the store, a write does") {
    Guarded guarded;
    guarded.inner->fails_with = Kind::timeout;
    // The caller's time is up while the store works: the deadline is moved to now, so that nobody has to wait for it.
    RequestContext request;
    const auto soon = [&]() -> const RequestContext& {
        request.deadline = SteadyClock::now() + 1h;
        return request;
    };
    const auto until_late = [&] { request.deadline = SteadyClock::now(); };
    guarded.inner->meanwhile = until_late;
    for (int i = 0; i < 5; ++i) {
        CHECK(guarded.store.list({}, soon()).error().kind == Kind::timeout);
        CHECK(guarded.store.latest_by_fingerprints({}, soon()).error().kind == Kind::timeout);
        CHECK(guarded.store.get("inc_1", soon()).error().kind == Kind::timeout);
    }
    CHECK(guarded.breaker->metrics().totals.ignored == 15);
    CHECK(guarded.breaker->state() == fusebox::State::closed);

    // The breaker's deadline, while the caller would wait longer.
    guarded.inner->meanwhile = [] {};
    CHECK_FALSE(guarded.store.list({}, {.deadline = SteadyClock::now() + 1h, .stop = {}}));
    CHECK(guarded.breaker->metrics().totals.timeouts == 1);
    guarded.inner->meanwhile = until_late;
    CHECK_FALSE(guarded.store.commit({}, soon()));
    CHECK(guarded.breaker->metrics().totals.timeouts == 2);
}

TEST_CASE("reads for people have a breaker of their own, where there is one") {
    Guarded guarded;
    const auto for_people = std::make_shared<CircuitBreaker>(
        "store-reads",
        fusebox::CircuitBreakerConfig{
            .consecutive_failure_threshold = 3, .open_timeout = 5s, .success_threshold = 1, .operation_timeout = 10s},
        fusebox::BreakerOptions{.clock = &guarded.clock});
    CircuitBreakerStore store{guarded.inner, guarded.breaker, for_people};
    const RequestContext person{.deadline = {}, .stop = {}, .for_people = true};
    guarded.inner->fails_with = Kind::unavailable;
    for (int i = 0; i < 3; ++i) CHECK_FALSE(store.list({}, person));
    CHECK(for_people->state() == fusebox::State::open);
    CHECK(guarded.breaker->metrics().totals.requests == 0);

    CHECK(store.get("inc_1", person).error().kind == Kind::rejected);
    CHECK(store.incident_counts(person).error().kind == Kind::rejected);
    CHECK(store.list_notifications({}, person).error().kind == Kind::rejected);
    guarded.inner->fails_with.reset();
    CHECK(store.get("inc_1", {}));
    CHECK(store.latest_by_fingerprints({}, {}));
    CHECK(store.commit({}, person));  // whoever wants it, a write is judged as a write
    CHECK(guarded.breaker->metrics().totals.successes == 3);

    guarded.breaker->force_open("test");
    CHECK(store.get("inc_1", {}).error().kind == Kind::rejected);
    CHECK(store.commit({}, person).error().kind == Kind::rejected);
    guarded.clock.advance(5s);
    CHECK(store.list({}, person));
}

TEST_CASE("a call that is over before it begins is not made and not judged") {
    Guarded guarded;
    std::stop_source stop;
    stop.request_stop();
    CHECK(guarded.store.check_writable({.deadline = {}, .stop = stop.get_token()}).error().kind == Kind::timeout);
    CHECK(guarded.store.check_writable({.deadline = SteadyClock::now() - 1ms, .stop = {}}).error().kind ==
          Kind::timeout);
    CHECK(guarded.inner->calls == 0);
    CHECK(guarded.breaker->metrics().totals.requests == 0);
}

TEST_CASE("an answer after the breaker's deadline is a timeout to the breaker and a value to the caller") {
    Guarded guarded;
    guarded.inner->meanwhile = [&] { guarded.clock.advance(11s); };
    CHECK(guarded.store.check_writable({}));
    CHECK(guarded.breaker->metrics().totals.timeouts == 1);
}

TEST_CASE("a store or a breaker that is missing is refused at once") {
    const auto breaker = std::make_shared<CircuitBreaker>("store");
    CHECK_THROWS_AS((CircuitBreakerStore{nullptr, breaker}), std::invalid_argument);
    CHECK_THROWS_AS((CircuitBreakerStore{std::make_shared<ScriptedStore>(), nullptr}), std::invalid_argument);
}

}  // namespace fusebox::test
