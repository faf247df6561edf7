// A look at a SQLite file past the store.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace fusebox::test {

/// A plain connection; throws what SQLite says.
class Sqlite {
public:
    explicit Sqlite(const std::filesystem::path& path) {
        if (sqlite3_open(path.c_str(), &handle_) != SQLITE_OK) throw std::runtime_error{"cannot open " + path.string()};
    }
    Sqlite(const Sqlite&) = delete;
    Sqlite& operator=(const Sqlite&) = delete;
    ~Sqlite() { sqlite3_close(handle_); }

    void execute(const std::string& sql) { value(sql); }
    /// The first column of the last row; empty without one.
    std::string value(const std::string& sql) {
        std::string found;
        const auto keep = [](void* out, int, char** columns, char**) {
            *static_cast<std::string*>(out) = columns[0] ? columns[0] : "";
            return 0;
        };
        if (sqlite3_exec(handle_, sql.c_str(), keep, &found, nullptr) != SQLITE_OK)
            throw std::runtime_error{sqlite3_errmsg(handle_)};
        return found;
    }

private:
    sqlite3* handle_{};
};

}  // namespace fusebox::test
