#include <fusebox/storage/open_store.hpp>

#include <optional>
#include <string>
#include <utility>

#include <fusebox/storage/memory_store.hpp>
#ifdef FUSEBOX_WITH_SQLITE
#include <fusebox/storage/sqlite_store.hpp>
#endif

namespace fusebox::storage {

using namespace fusebox::incidents;

namespace {

#ifdef FUSEBOX_WITH_SQLITE
constexpr std::string_view supported = "\"memory:\" or \"sqlite:PATH\"";
#else
constexpr std::string_view supported = "\"memory:\" (SQLite was not built in)";
#endif

#ifdef FUSEBOX_WITH_SQLITE
/// The path of a "sqlite:PATH".
std::optional<std::string_view> sqlite_path(std::string_view url) {
    constexpr std::string_view scheme = "sqlite:";
    if (!url.starts_with(scheme)) return std::nullopt;
    return url.substr(scheme.size());
}
#endif

/// Only the scheme is repeated: the rest of a URL can hold a password.
StoreError not_supported(std::string_view what, std::string_view url) {
    std::string message{what};
    const auto colon = url.find(':');
    if (colon != std::string_view::npos) message += ", not \"" + std::string{url.substr(0, colon + 1)} + "…\"";
    return {.kind = StoreError::Kind::invalid, .message = std::move(message), .retry_after = {}};
}

}  // namespace

StoreResult<std::unique_ptr<Store>> open_store(std::string_view url) {
    if (url == "memory:") return std::make_unique<MemoryStore>();
#ifdef FUSEBOX_WITH_SQLITE
    if (const auto path = sqlite_path(url)) {
        auto store = SqliteStore::open({.path = *path});
        if (!store) return std::unexpected(std::move(store.error()));
        return *std::move(store);
    }
#endif
    return std::unexpected(not_supported("a store's URL is " + std::string{supported}, url));
}

void own_process() noexcept {
#ifdef FUSEBOX_WITH_SQLITE
    SqliteStore::spare_memory_statistics();
#endif
}

StoreResult<void> back_up_store(std::string_view url, [[maybe_unused]] const std::filesystem::path& to,
                                [[maybe_unused]] const RequestContext& context) {
#ifdef FUSEBOX_WITH_SQLITE
    if (const auto path = sqlite_path(url)) return SqliteStore::back_up(*path, to, context);
#endif
    return std::unexpected(not_supported("only a store \"sqlite:PATH\" can be copied", url));
}

}  // namespace fusebox::storage
