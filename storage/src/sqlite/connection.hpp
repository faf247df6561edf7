// The SQLite C API with owners, deadlines and errors that say what to do next.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <fusebox/incidents/ports.hpp>

struct sqlite3;
struct sqlite3_stmt;

namespace fusebox::storage::sqlite {

/// How a failure travels inside this folder; SqliteStore turns it into the value that its caller gets.
class Failure : public std::exception {
public:
    explicit Failure(incidents::StoreError error) : error_(std::move(error)) {}
    Failure(incidents::StoreError::Kind kind, std::string message);
    [[nodiscard]] const incidents::StoreError& error() const noexcept { return error_; }
    [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }

private:
    incidents::StoreError error_;
};

class Connection;

struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
};
/// Prepared statements by their SQL, ready to be used again.
using StatementCache = std::multimap<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>>;

/// One use of a prepared statement: bind from the left, step, read columns. Goes back to the connection's cache, reset,
/// when destroyed.
class Statement {
public:
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement();

    /// `text` must live, unchanged, until the statement was run or is destroyed: SQLite reads it where it is.
    Statement& bind(std::string_view text);
    /// SQLite keeps a copy.
    Statement& bind(std::string&& text);
    Statement& bind(std::int64_t number);
    Statement& bind(incidents::WallTime time) { return bind(std::int64_t{time.time_since_epoch().count()}); }
    template <class T>
    Statement& bind(const std::optional<T>& value) {
        return value ? bind(*value) : bind_null();
    }

    /// Makes the statement ready for another row: the first parameter is bound next.
    Statement& again();
    /// True while there is a row. Throws `Failure`.
    bool step();
    /// For statements without rows. Throws `Failure`.
    void run() {
        while (step()) {
        }
    }

    [[nodiscard]] bool is_null(int column) const;
    /// Valid until the next step.
    [[nodiscard]] std::string_view text(int column) const;
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] incidents::WallTime time(int column) const;
    [[nodiscard]] std::optional<incidents::WallTime> optional_time(int column) const;

private:
    friend class Connection;
    Statement(Connection& connection, StatementCache::node_type node)
        : connection_(connection), node_(std::move(node)), statement_(node_.mapped().get()) {}
    Statement& bind_null();

    Connection& connection_;
    StatementCache::node_type node_;
    sqlite3_stmt* statement_;
    int bound_{0};
};

/// One connection; one thread at a time.
class Connection {
public:
    enum class Mode : std::uint8_t { write, read_only };
    /// Which work a deadline or a stop token can end. A running write must not be interrupted: SQLite would roll back
    /// the whole transaction.
    enum class Interrupt : std::uint8_t { waiting, waiting_and_running };
    /// Throws `Failure`.
    Connection(const std::filesystem::path& path, Mode mode, std::chrono::milliseconds busy_timeout);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Until destroyed, the connection obeys `context`, and waiting for locks ends at `give_up_at`. Throws `Failure`
    /// when the time of `context` is up already.
    class Within {
    public:
        Within(Connection& connection, const incidents::RequestContext& context, Interrupt interrupt,
               std::chrono::steady_clock::time_point give_up_at);
        /// Waiting for locks ends at the deadline of `context`; without one, after the busy timeout.
        Within(Connection& connection, const incidents::RequestContext& context, Interrupt interrupt)
            : Within{connection, context, interrupt, connection.give_up_at(context)} {}
        Within(const Within&) = delete;
        Within& operator=(const Within&) = delete;
        ~Within();

    private:
        Connection& connection_;
    };

    /// The queries until its destruction see the file as it is at the first of them. Throws `Failure`.
    class Snapshot {
    public:
        explicit Snapshot(Connection& connection) : connection_(connection) { connection_.prepare("BEGIN").run(); }
        Snapshot(const Snapshot&) = delete;
        Snapshot& operator=(const Snapshot&) = delete;
        ~Snapshot() { connection_.roll_back(); }

    private:
        Connection& connection_;
    };

    /// When a request that begins now gives up waiting for a lock.
    [[nodiscard]] std::chrono::steady_clock::time_point give_up_at(const incidents::RequestContext& context) const;

    /// Several statements without parameters or rows. Throws `Failure`.
    void execute(const char* sql);
    /// Takes the statement from the cache where `sql` was used before. Throws `Failure`.
    Statement prepare(std::string_view sql);
    /// The single number that a query gives. Throws `Failure`.
    std::int64_t number(std::string_view sql);
    /// Gives SQL the function label_hash(name, value). Throws `Failure`.
    void add_label_hash();
    /// Copies the file as it is now into the new database `to`, while others write. Obeys the context of a `Within`.
    /// Throws `Failure`.
    void copy_to(Connection& to);
    /// Switches the file to a write-ahead log. False: its file system cannot hold one. Throws `Failure`.
    [[nodiscard]] bool use_write_ahead_log();
    /// Rows that the last statement changed.
    [[nodiscard]] std::int64_t changes() const noexcept;
    /// Rows that were changed since the connection was opened, triggers included; a statement that failed counts none.
    [[nodiscard]] std::int64_t total_changes() const noexcept;
    /// The key of the row that was inserted last.
    [[nodiscard]] std::int64_t last_key() const noexcept;
    /// False after SQLite has rolled the transaction back by itself (disk full, I/O error).
    [[nodiscard]] bool in_transaction() const noexcept;
    /// Ends a transaction where there is one; needs no memory of the program's.
    void roll_back() noexcept;
    /// The error of the last call, which returned `code`.
    [[nodiscard]] Failure failure(int code) const;

private:
    friend class Statement;
    struct Close {
        void operator()(sqlite3* handle) const noexcept;
    };
    [[nodiscard]] bool time_is_up() const noexcept;
    [[nodiscard]] bool wait_for_lock() const noexcept;

    std::chrono::milliseconds busy_timeout_;
    const incidents::RequestContext* context_{};
    std::chrono::steady_clock::time_point give_up_at_{std::chrono::steady_clock::time_point::max()};
    std::unique_ptr<sqlite3, Close> handle_;
    StatementCache statements_;  ///< destroyed before the handle
};

}  // namespace fusebox::storage::sqlite
