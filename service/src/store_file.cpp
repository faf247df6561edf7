#include "store_file.hpp"

#include <sys/stat.h>

#include <string_view>

namespace fusebox::service {

StoreFileId identify_store_file(const std::string& url) noexcept {
    constexpr std::string_view scheme = "sqlite:";
    struct stat facts{};
    if (!url.starts_with(scheme) || ::stat(url.c_str() + scheme.size(), &facts) != 0) return std::nullopt;
    return std::pair{facts.st_dev, facts.st_ino};
}

}  // namespace fusebox::service
