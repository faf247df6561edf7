#include <fusebox/storage/open_store.hpp>

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

}  // namespace

StoreResult<std::unique_ptr<Store>> open_store(std::string_view url) {
    if (url == "memory:") return std::make_unique<MemoryStore>();
#ifdef FUSEBOX_WITH_SQLITE
    if (constexpr std::string_view scheme = "sqlite:"; url.starts_with(scheme)) {
        auto store = SqliteStore::open({.path = url.substr(scheme.size())});
        if (!store) return std::unexpected(std::move(store.error()));
        return *std::move(store);
    }
#endif
    // Only the scheme is repeated: the rest of a URL can hold a password.
    const auto colon = url.find(':');
    std::string message = "a store's URL is " + std::string{supported};
    if (colon != std::string_view::npos) message += ", not \"" + std::string{url.substr(0, colon + 1)} + "…\"";
    return std::unexpected(
        StoreError{.kind = StoreError::Kind::invalid, .message = std::move(message), .retry_after = {}});
}

}  // namespace fusebox::storage
