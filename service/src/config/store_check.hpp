// Whether the store could be opened and written, found out without opening it.
#pragma once

#include <optional>
#include <string>

namespace fusebox::service {

/// Why the store at `url` could not be used; none where it could. Nothing stays behind: a file that is there is looked
/// at and neither opened as a database nor upgraded; where there is none yet, the nearest folder that exists is tried
/// with a file without a name (or, on file systems that have no such files, with one that is deleted at once).
[[nodiscard]] std::optional<std::string> check_store(const std::string& url);

}  // namespace fusebox::service
