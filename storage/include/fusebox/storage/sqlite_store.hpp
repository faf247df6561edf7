// A store in one SQLite file, durable at every answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include <fusebox/storage/store.hpp>

namespace fusebox::storage {

struct SqliteOptions {
    std::filesystem::path path;  ///< missing folders are created 0700, the file 0600
    /// How long a call without a deadline waits for another process that writes; > 0. Deadlines can end it earlier.
    std::chrono::milliseconds busy_timeout{std::chrono::seconds{5}};
    std::size_t readers{4};  ///< reads at a time of intake and delivery; further ones wait; >= 1
    /// The same for `RequestContext::for_people`, which never takes one of the others; >= 1.
    std::size_t readers_for_people{2};
    std::uint64_t max_bytes{0};  ///< size that the file may reach; 0 = what the disk holds
};

/// Write-ahead log, `synchronous=FULL`: what a call has acknowledged survives a power cut. Several threads that write
/// at the same time share one transaction, hence one sync to disk, and each gets its own answer. Several processes may
/// use one file. Deadlines and stop tokens are obeyed while waiting and while reading; a write that has begun is
/// finished.
class SqliteStore final : public Store {
public:
    /// Creates the file, or checks it and upgrades its schema. `corrupt`: not a database; `invalid`: a newer schema or
    /// another program's database; `unavailable`: cannot be opened.
    [[nodiscard]] static incidents::StoreResult<std::unique_ptr<SqliteStore>> open(const SqliteOptions& options);
    ~SqliteStore() override;
    /// Copies the file `from` as it is now, with all that has been acknowledged, into the new file `to`; a service may
    /// be writing. `to` gets its name when the copy is whole; its missing folders are made. `not_found`: no file
    /// `from`; `invalid`: `to` exists, or `from` is another program's; both stay as they are.
    [[nodiscard]] static incidents::StoreResult<void> back_up(const std::filesystem::path& from,
                                                              const std::filesystem::path& to,
                                                              const incidents::RequestContext& context);
    /// For a program that owns its process, before anything in the process uses SQLite: SQLite then keeps no statistics
    /// of its memory, for which every allocation of every thread takes one lock. False: SQLite was in use already, and
    /// nothing has changed. Not thread-safe.
    static bool spare_memory_statistics() noexcept;
    [[nodiscard]] std::vector<std::string> upgrades() const override;
    [[nodiscard]] std::optional<std::string> damage() const override;
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
    class Impl;
    explicit SqliteStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::storage
