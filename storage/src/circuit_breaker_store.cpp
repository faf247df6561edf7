#include <fusebox/storage/circuit_breaker_store.hpp>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>

namespace fusebox::storage {

using namespace fusebox::incidents;

namespace {

/// Whether the caller has cancelled the request or its deadline has passed: the store is not to blame for either.
bool is_over(const RequestContext& request) {
    return request.stop.stop_requested() || (request.deadline && *request.deadline <= std::chrono::steady_clock::now());
}

/// The earlier of the two deadlines. The breaker's deadline may be on another clock, so its remaining time is added to
/// the steady clock.
RequestContext earlier_of(const RequestContext& request, const CallContext& call) {
    RequestContext merged = request;
    if (const auto remaining = call.remaining()) {
        const auto deadline = std::chrono::steady_clock::now() + *remaining;
        merged.deadline = std::min(request.deadline.value_or(deadline), deadline);
    }
    return merged;
}

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};

StoreError without_circuit(CallError<StoreError>&& error) {
    return std::visit(
        Overloaded{
            [](const Rejection& rejection) -> StoreError {
                return {.kind = StoreError::Kind::rejected,
                        .message = "store: " + describe(rejection),
                        .retry_after = std::chrono::ceil<std::chrono::milliseconds>(rejection.retry_after)};
            },
            [](const TimeoutError&) -> StoreError {
                return {.kind = StoreError::Kind::timeout,
                        .message = "store: the call did not end in time",
                        .retry_after = {}};
            },
            [](InternalError&& internal) -> StoreError {
                return {
                    .kind = StoreError::Kind::unavailable, .message = std::move(internal.message), .retry_after = {}};
            },
            [](OperationFailed<StoreError>&& failed) -> StoreError { return std::move(failed.error); },
        },
        std::move(error).variant());
}

}  // namespace

Outcome outcome_of(const StoreError& error) noexcept {
    switch (error.kind) {
        case StoreError::Kind::unavailable:
        case StoreError::Kind::corrupt:
            return Outcome::failure;
        case StoreError::Kind::timeout:
            return Outcome::timeout;
        case StoreError::Kind::conflict:
        case StoreError::Kind::not_found:
        case StoreError::Kind::invalid:
        case StoreError::Kind::rejected:
            return Outcome::ignored;
    }
    return Outcome::failure;
}

CircuitBreakerStore::CircuitBreakerStore(std::shared_ptr<Store> store, std::shared_ptr<CircuitBreaker> breaker,
                                         std::shared_ptr<CircuitBreaker> breaker_for_people)
    : store_(std::move(store)), breaker_(std::move(breaker)), breaker_for_people_(std::move(breaker_for_people)) {
    if (!store_ || !breaker_) throw std::invalid_argument("CircuitBreakerStore needs a store and a breaker");
}
CircuitBreakerStore::~CircuitBreakerStore() = default;

template <CircuitBreakerStore::Access access, class Member, class... Args>
auto CircuitBreakerStore::forward(Member member, const RequestContext& context, const Args&... args) {
    using Result = std::invoke_result_t<Member, Store&, const Args&..., const RequestContext&>;
    if (is_over(context))
        return Result{std::unexpected(StoreError{.kind = StoreError::Kind::timeout,
                                                 .message = "store: the caller's time was up before the call began",
                                                 .retry_after = {}})};
    const bool for_people = access == Access::read && context.for_people && breaker_for_people_;
    auto answer = (for_people ? *breaker_for_people_ : *breaker_)
                      .call_classified(
                          [&](const CallContext& call) -> Result {
                              return std::invoke(member, *store_, args..., earlier_of(context, call));
                          },
                          [&](const Result& result) {
                              if (result) return Outcome::success;
                              // What a caller has no patience for is no fault of the store. A write that waits is: it
                              // is short, and only a store that is held up keeps it.
                              const bool ended_by_caller =
                                  context.stop.stop_requested() || (access == Access::read && is_over(context));
                              const bool is_timeout = result.error().kind == StoreError::Kind::timeout;
                              return is_timeout && ended_by_caller ? Outcome::ignored : outcome_of(result.error());
                          });
    if (!answer) return Result{std::unexpected(without_circuit(std::move(answer.error())))};
    if constexpr (std::is_void_v<typename Result::value_type>) {
        return Result{};
    } else {
        return Result{*std::move(answer)};
    }
}

StoreResult<void> CircuitBreakerStore::commit(std::span<const IncidentWrite> writes, const RequestContext& context) {
    return forward<Access::write>(&Store::commit, context, writes);
}
StoreResult<Incident> CircuitBreakerStore::get(std::string_view id, const RequestContext& context) {
    return forward<Access::read>(&Store::get, context, id);
}
StoreResult<std::map<std::string, Incident, std::less<>>> CircuitBreakerStore::latest_by_fingerprints(
    std::span<const std::string> fingerprints, const RequestContext& context) {
    return forward<Access::read>(&Store::latest_by_fingerprints, context, fingerprints);
}
StoreResult<std::vector<std::string>> CircuitBreakerStore::note_sightings(std::span<const Sighting> sightings,
                                                                          const RequestContext& context) {
    return forward<Access::write>(&Store::note_sightings, context, sightings);
}
StoreResult<std::vector<std::string>> CircuitBreakerStore::expiring(WallTime before, std::size_t limit,
                                                                    const RequestContext& context) {
    return forward<Access::read>(&Store::expiring, context, before, limit);
}
StoreResult<std::vector<std::string>> CircuitBreakerStore::resolved_before(WallTime before, std::size_t limit,
                                                                           const RequestContext& context) {
    return forward<Access::read>(&Store::resolved_before, context, before, limit);
}
StoreResult<PruneCounts> CircuitBreakerStore::prune(const PruneQuery& query, const RequestContext& context) {
    return forward<Access::write>(&Store::prune, context, query);
}
StoreResult<Page<Incident>> CircuitBreakerStore::list(const IncidentQuery& query, const RequestContext& context) {
    return forward<Access::read>(&Store::list, context, query);
}
StoreResult<std::map<IncidentState, std::uint64_t>> CircuitBreakerStore::incident_counts(
    const RequestContext& context) {
    return forward<Access::read>(&Store::incident_counts, context);
}
StoreResult<void> CircuitBreakerStore::check_writable(const RequestContext& context) {
    return forward<Access::write>(&Store::check_writable, context);
}
StoreResult<std::uint64_t> CircuitBreakerStore::release_leases(WallTime now, const RequestContext& context) {
    return forward<Access::write>(&Store::release_leases, context, now);
}
StoreResult<std::vector<Notification>> CircuitBreakerStore::lease(std::string_view destination, WallTime now,
                                                                  std::chrono::milliseconds lease_for,
                                                                  std::size_t limit, const RequestContext& context) {
    return forward<Access::write>(&Store::lease, context, destination, now, lease_for, limit);
}
StoreResult<void> CircuitBreakerStore::settle(std::string_view id, std::string_view lease_token,
                                              const DeliveryResult& result, const RequestContext& context) {
    return forward<Access::write>(&Store::settle, context, id, lease_token, result);
}
StoreResult<std::optional<WallTime>> CircuitBreakerStore::next_due(std::string_view destination,
                                                                   const RequestContext& context) {
    return forward<Access::read>(&Store::next_due, context, destination);
}
StoreResult<Notification> CircuitBreakerStore::get_notification(std::string_view id, const RequestContext& context) {
    return forward<Access::read>(&Store::get_notification, context, id);
}
StoreResult<Page<Notification>> CircuitBreakerStore::list_notifications(const NotificationQuery& query,
                                                                        const RequestContext& context) {
    return forward<Access::read>(&Store::list_notifications, context, query);
}
StoreResult<Notification> CircuitBreakerStore::replay(std::string_view id, WallTime now,
                                                      const RequestContext& context) {
    return forward<Access::write>(&Store::replay, context, id, now);
}
StoreResult<void> CircuitBreakerStore::enqueue(const NotificationDraft& draft, const RequestContext& context) {
    return forward<Access::write>(&Store::enqueue, context, draft);
}
StoreResult<std::map<std::string, std::map<NotificationState, std::uint64_t>>> CircuitBreakerStore::counts(
    const RequestContext& context) {
    return forward<Access::read>(&Store::counts, context);
}

}  // namespace fusebox::storage
