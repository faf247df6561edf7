// Where the states of breakers outlive the process (R52).
#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fusebox/core/breaker_snapshot.hpp>
#include <fusebox/registry/config_mistake.hpp>

namespace fusebox {

/// What is kept, by the breakers' names.
using SavedBreakers = std::map<std::string, BreakerSnapshot, std::less<>>;

/// One sentence for the log: what failed, where, and what to do about it.
struct StateStoreError {
    std::string message;
};

/// Keeps snapshots of breakers. `Registry::keep_state` drives it: one thread at a time, never on the path of a call,
/// and as long as it takes. What an implementation throws is taken as its error.
class StateStore {
public:
    StateStore() = default;
    StateStore(const StateStore&) = delete;
    StateStore& operator=(const StateStore&) = delete;
    virtual ~StateStore() = default;

    /// All that is kept; nothing where nothing was kept yet. All or an error, never a part.
    [[nodiscard]] virtual std::expected<SavedBreakers, StateStoreError> load_all() = 0;
    /// Keeps `changed`, each in place of what was kept under its name; the others stay. When this returns, it is kept.
    [[nodiscard]] virtual std::expected<void, StateStoreError> save(const SavedBreakers& changed) = 0;
    /// Drops these; a name that is not kept is no error.
    [[nodiscard]] virtual std::expected<void, StateStoreError> remove(std::span<const std::string> names) = 0;
};

/// Keeps them for as long as it lives: for tests, and for registries that come and go. Any thread.
class MemoryStateStore final : public StateStore {
public:
    std::expected<SavedBreakers, StateStoreError> load_all() override;
    std::expected<void, StateStoreError> save(const SavedBreakers& changed) override;
    std::expected<void, StateStoreError> remove(std::span<const std::string> names) override;

private:
    std::mutex mutex_;  // guards kept_
    SavedBreakers kept_;
};

/// Keeps them in one file of JSON, replaced as a whole (written beside it, synced, renamed), so that whatever happens
/// there is the old file or the new one. Meant for some thousand breakers: each save writes all of them.
///
/// A file that is damaged, truncated or of a newer version is refused by every operation, with path, line and field,
/// and is never overwritten: mend it, or move it away, and the next save begins a new one. One process per file, and in
/// it one thread at a time.
///
/// The file holds the breakers' reports as they are: messages of errors, trace ids, actors and notes. Never put secrets
/// in them. Every save makes it anew with mode 0600, readable by its owner only.
///
///     fusebox::registry().keep_state(std::make_shared<fusebox::FileStateStore>("/var/lib/shop/breakers.json"));
class FileStateStore final : public StateStore {
public:
    /// Touches nothing yet. The first save makes the folder too.
    explicit FileStateStore(std::filesystem::path path);
    std::expected<SavedBreakers, StateStoreError> load_all() override;
    std::expected<void, StateStoreError> save(const SavedBreakers& changed) override;
    std::expected<void, StateStoreError> remove(std::span<const std::string> names) override;

private:
    std::expected<void, StateStoreError> need_loaded();
    std::expected<void, StateStoreError> write(const SavedBreakers& all) const;

    std::filesystem::path path_;
    std::optional<SavedBreakers> kept_;  // what the file holds; none: it was not read yet, or was refused
};

/// The text that `FileStateStore` writes: JSON with a version, one breaker after the other. Bytes that are not UTF-8
/// come back as they were.
[[nodiscard]] std::string format_state(const SavedBreakers& breakers);
/// What `format_state` wrote. A mistake names the line (of a text that is no JSON) or the field
/// (`breakers[2].reports[0].from`); whatever `CircuitBreaker::restore` would refuse is one.
[[nodiscard]] std::expected<SavedBreakers, ConfigMistake> parse_state(std::string_view text);

}  // namespace fusebox
