#include "failing_files.hpp"

#include <sqlite3.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <stdexcept>

namespace fusebox::test {

namespace {

struct Plan {
    std::atomic<std::size_t> calls{0};
    std::atomic<std::size_t> good{std::numeric_limits<std::size_t>::max()};
    std::atomic<int> code{SQLITE_OK};
};
std::array<Plan, 2> plans;
std::atomic<bool> failed{false};

/// The functions of a kind of file (SQLite has one for the database and one for its log), and what stands before them.
struct Methods {
    const sqlite3_io_methods* real = nullptr;
    sqlite3_io_methods own{};
};

sqlite3_vfs* real_files = nullptr;
sqlite3_vfs files;
std::mutex mutex;  // guards `kinds` while it grows; an entry that is in use does not change
std::array<Methods, 4> kinds;

const sqlite3_io_methods& real_methods(const sqlite3_file* file) {
    for (const auto& kind : kinds)
        if (file->pMethods == &kind.own) return *kind.real;
    std::abort();
}

/// What a call is to answer; SQLITE_OK: what the real file answers.
int planned(FailingFiles::Call call) {
    Plan& plan = plans.at(static_cast<std::size_t>(call));
    ++plan.calls;
    std::size_t good = plan.good;
    while (good > 0 && good != std::numeric_limits<std::size_t>::max())
        if (plan.good.compare_exchange_weak(good, good - 1)) return SQLITE_OK;
    if (good > 0) return SQLITE_OK;
    failed = true;
    return plan.code;
}

int write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset) {
    const int code = planned(FailingFiles::Call::write);
    return code == SQLITE_OK ? real_methods(file).xWrite(file, from, bytes, offset) : code;
}

int sync(sqlite3_file* file, int flags) {
    const int code = planned(FailingFiles::Call::sync);
    return code == SQLITE_OK ? real_methods(file).xSync(file, flags) : code;
}

/// The file is a real one; only the table of its functions is another.
int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    const int code = real_files->xOpen(real_files, name, file, flags, out_flags);
    if (code != SQLITE_OK || !file->pMethods) return code;
    const std::lock_guard lock{mutex};
    for (auto& kind : kinds) {
        if (kind.real && kind.real != file->pMethods) continue;
        if (!kind.real) {
            kind.own = *file->pMethods;
            kind.own.xWrite = write;
            kind.own.xSync = sync;
            kind.real = file->pMethods;
        }
        file->pMethods = &kind.own;
        break;
    }
    return code;
}

}  // namespace

FailingFiles::FailingFiles() {
    real_files = sqlite3_vfs_find(nullptr);
    if (!real_files) throw std::runtime_error{"SQLite has no files"};
    files = *real_files;
    files.zName = "failing";
    files.pNext = nullptr;
    files.xOpen = open;
    heal();
    if (sqlite3_vfs_register(&files, 1) != SQLITE_OK) throw std::runtime_error{"SQLite does not take other files"};
}

FailingFiles::~FailingFiles() {
    sqlite3_vfs_unregister(&files);
    sqlite3_vfs_register(real_files, 1);
}

void FailingFiles::fail(Call call, std::size_t good, int code) {
    failed = false;
    plans.at(static_cast<std::size_t>(call)).code = code;
    plans.at(static_cast<std::size_t>(call)).good = good;
}

void FailingFiles::heal() {
    for (auto& plan : plans) plan.good = std::numeric_limits<std::size_t>::max();
}

std::size_t FailingFiles::calls(Call call) const { return plans.at(static_cast<std::size_t>(call)).calls; }

bool FailingFiles::has_failed() const { return failed; }

}  // namespace fusebox::test
