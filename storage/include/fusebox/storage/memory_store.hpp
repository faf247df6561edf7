// A store in the memory of the process.
#pragma once

#include <memory>

#include <fusebox/storage/store.hpp>

namespace fusebox::storage {

/// For tests and trials: the semantics of the durable stores, without the durability. One mutex; nothing blocks for
/// long, so deadlines are ignored.
class MemoryStore final : public Store {
public:
    MemoryStore();
    ~MemoryStore() override;

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
    struct Data;
    std::unique_ptr<Data> data_;
};

}  // namespace fusebox::storage
