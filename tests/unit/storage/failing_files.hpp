// SQLite's files, with writes and syncs that fail when a test says so.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fusebox::test {

/// While it lives, every file that SQLite opens in this process goes through it. One at a time; the files must be
/// closed before it goes.
class FailingFiles {
public:
    enum class Call : std::uint8_t { write, sync };

    FailingFiles();
    FailingFiles(const FailingFiles&) = delete;
    FailingFiles& operator=(const FailingFiles&) = delete;
    ~FailingFiles();

    /// Lets `good` more calls of this kind through; those after them fail with `code` (SQLITE_IOERR_FSYNC …) until
    /// `heal`.
    void fail(Call call, std::size_t good, int code);
    void heal();
    /// Calls of this kind until now, those that failed included.
    [[nodiscard]] std::size_t calls(Call call) const;
    /// Whether a call has failed since the last `fail`.
    [[nodiscard]] bool has_failed() const;
};

}  // namespace fusebox::test
