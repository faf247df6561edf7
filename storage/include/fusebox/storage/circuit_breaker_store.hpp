// A store behind a circuit breaker.
#pragma once

#include <cstdint>
#include <memory>

#include <fusebox/core/outcome.hpp>
#include <fusebox/storage/store.hpp>

namespace fusebox {
class CircuitBreaker;
}

namespace fusebox::storage {

/// What a breaker thinks of a store's answer: `unavailable` and `corrupt` are failures, `timeout` is a timeout; with
/// every other error the store has answered, which is neutral.
[[nodiscard]] Outcome outcome_of(const incidents::StoreError& error) noexcept;

/// Decorates any store; itself a store. While the breaker refuses, every call answers `rejected` at once, with
/// `retry_after`. The breaker's deadline is passed down unless the caller's own is earlier. A call that its caller
/// cancels is neutral, and so is a read that the caller's own deadline ends; one that is cancelled or late before it
/// begins is not made.
///
/// Reads for people (`RequestContext::for_people`) can have a breaker of their own, so that slow lists and what becomes
/// of them never stop the intake of alerts.
class CircuitBreakerStore final : public Store {
public:
    /// `breaker` judges all calls, but those reads for people that `breaker_for_people` judges, where there is one.
    /// Throws `std::invalid_argument` when `store` or `breaker` is null.
    CircuitBreakerStore(std::shared_ptr<Store> store, std::shared_ptr<CircuitBreaker> breaker,
                        std::shared_ptr<CircuitBreaker> breaker_for_people = nullptr);
    ~CircuitBreakerStore() override;
    [[nodiscard]] std::vector<std::string> upgrades() const override { return store_->upgrades(); }
    [[nodiscard]] std::optional<std::string> damage() const override { return store_->damage(); }
    incidents::StoreResult<std::uint64_t> release_leases(incidents::WallTime now,
                                                         const incidents::RequestContext& context) override;

    incidents::StoreResult<void> commit(std::span<const incidents::IncidentWrite> writes,
                                        const incidents::RequestContext& context) override;
    incidents::StoreResult<incidents::Incident> get(std::string_view id,
                                                    const incidents::RequestContext& context) override;
    incidents::StoreResult<std::map<std::string, incidents::Incident, std::less<>>> latest_by_fingerprints(
        std::span<const std::string> fingerprints, const incidents::RequestContext& context) override;
    incidents::StoreResult<std::vector<std::string>> note_sightings(std::span<const incidents::Sighting> sightings,
                                                                    const incidents::RequestContext& context) override;
    incidents::StoreResult<std::vector<std::string>> expiring(incidents::WallTime before, std::size_t limit,
                                                              const incidents::RequestContext& context) override;
    incidents::StoreResult<std::vector<std::string>> resolved_before(incidents::WallTime before, std::size_t limit,
                                                                     const incidents::RequestContext& context) override;
    incidents::StoreResult<incidents::PruneCounts> prune(const incidents::PruneQuery& query,
                                                         const incidents::RequestContext& context) override;
    incidents::StoreResult<incidents::Page<incidents::Incident>> list(
        const incidents::IncidentQuery& query, const incidents::RequestContext& context) override;
    incidents::StoreResult<std::map<incidents::IncidentState, std::uint64_t>> incident_counts(
        const incidents::RequestContext& context) override;
    incidents::StoreResult<void> check_writable(const incidents::RequestContext& context) override;

    incidents::StoreResult<std::vector<incidents::Notification>> lease(
        std::string_view destination, incidents::WallTime now, std::chrono::milliseconds lease_for, std::size_t limit,
        const incidents::RequestContext& context) override;
    incidents::StoreResult<void> settle(std::string_view id, std::string_view lease_token,
                                        const incidents::DeliveryResult& result,
                                        const incidents::RequestContext& context) override;
    incidents::StoreResult<std::optional<incidents::WallTime>> next_due(
        std::string_view destination, const incidents::RequestContext& context) override;
    incidents::StoreResult<incidents::Notification> get_notification(std::string_view id,
                                                                     const incidents::RequestContext& context) override;
    incidents::StoreResult<incidents::Page<incidents::Notification>> list_notifications(
        const incidents::NotificationQuery& query, const incidents::RequestContext& context) override;
    incidents::StoreResult<incidents::Notification> replay(std::string_view id, incidents::WallTime now,
                                                           const incidents::RequestContext& context) override;
    incidents::StoreResult<void> enqueue(const incidents::NotificationDraft& draft,
                                         const incidents::RequestContext& context) override;
    incidents::StoreResult<std::map<std::string, std::map<incidents::NotificationState, std::uint64_t>>> counts(
        const incidents::RequestContext& context) override;

private:
    enum class Access : std::uint8_t { read, write };
    template <Access access, class Member, class... Args>
    auto forward(Member member, const incidents::RequestContext& context, const Args&... args);

    std::shared_ptr<Store> store_;
    std::shared_ptr<CircuitBreaker> breaker_;
    std::shared_ptr<CircuitBreaker> breaker_for_people_;  ///< null: as `breaker_`
};

}  // namespace fusebox::storage
