#include "sqlite/connection.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <thread>
#include <utility>

#include <fusebox/storage/sqlite_store.hpp>

#include "sqlite/label_hash.hpp"

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;
using Kind = StoreError::Kind;
using SteadyClock = std::chrono::steady_clock;

namespace {

/// Statements kept prepared per connection. There must be a limit: each combination of a list's filters is a statement.
constexpr std::size_t max_cached_statements = 64;

Kind kind_of(int code, bool time_is_up) {
    switch (code) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID:
            return Kind::conflict;
        default:
            break;
    }
    switch (code & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Kind::corrupt;
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_TOOBIG:
            return Kind::invalid;
        case SQLITE_INTERRUPT:
            return Kind::timeout;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return time_is_up ? Kind::timeout : Kind::unavailable;
        default:
            return Kind::unavailable;  // FULL, IOERR, CANTOPEN, READONLY, NOMEM, PROTOCOL …
    }
}

}  // namespace

Failure::Failure(Kind kind, std::string message)
    : error_{.kind = kind, .message = std::move(message), .retry_after = std::nullopt} {}

Statement::~Statement() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    if (connection_.statements_.size() < max_cached_statements) connection_.statements_.insert(std::move(node_));
}

Statement& Statement::bind(std::string_view text) {
    // An empty view may have no address, which SQLite would take for NULL.
    const auto* begin = text.data() ? text.data() : "";
    const int code = sqlite3_bind_text64(statement_, ++bound_, begin, text.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) throw connection_.failure(code);
    return *this;
}

Statement& Statement::bind(std::string&& text) {  // NOLINT(cppcoreguidelines-rvalue-reference-param-not-moved)
    const int code = sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    if (code != SQLITE_OK) throw connection_.failure(code);
    return *this;
}

Statement& Statement::bind(std::int64_t number) {
    const int code = sqlite3_bind_int64(statement_, ++bound_, number);
    if (code != SQLITE_OK) throw connection_.failure(code);
    return *this;
}

Statement& Statement::bind_null() {
    const int code = sqlite3_bind_null(statement_, ++bound_);
    if (code != SQLITE_OK) throw connection_.failure(code);
    return *this;
}

Statement& Statement::again() {
    sqlite3_reset(statement_);
    bound_ = 0;
    return *this;
}

bool Statement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    throw connection_.failure(code);
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::string_view Statement::text(int column) const {
    const auto* begin = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return begin ? std::string_view{begin, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))}
                 : std::string_view{};
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_, column); }

WallTime Statement::time(int column) const { return WallTime{WallTime::duration{number(column)}}; }

std::optional<WallTime> Statement::optional_time(int column) const {
    return is_null(column) ? std::nullopt : std::optional{time(column)};
}

void Connection::Close::operator()(sqlite3* handle) const noexcept { sqlite3_close(handle); }
void Finalize::operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }

Connection::Connection(const std::filesystem::path& path, Mode mode, std::chrono::milliseconds busy_timeout)
    : busy_timeout_(busy_timeout) {
    sqlite3* handle = nullptr;
    // NOMUTEX: this class is used by one thread at a time.
    const int code = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(handle);  // also after a failure: the handle then carries the message
    if (!handle) throw Failure{Kind::unavailable, "sqlite: out of memory"};
    if (code != SQLITE_OK) throw failure(code);
    sqlite3_extended_result_codes(handle, 1);
    if (mode == Mode::write) sqlite3_db_config(handle, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 512, 1024);
    sqlite3_busy_handler(
        handle, [](void* self, int) { return static_cast<const Connection*>(self)->wait_for_lock() ? 1 : 0; }, this);
    give_up_at_ = SteadyClock::now() + busy_timeout_;
    // Sorting and savepoints stay in memory, so that a full folder of temporary files refuses no alert.
    execute("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY");
    // In KiB. The writer touches a page of each index with every new incident.
    execute(mode == Mode::write ? "PRAGMA cache_size = -32768" : "PRAGMA cache_size = -4096; PRAGMA query_only = ON");
}

Connection::Within::Within(Connection& connection, const RequestContext& context, Interrupt interrupt,
                           SteadyClock::time_point give_up_at)
    : connection_(connection) {
    connection.context_ = &context;
    connection.give_up_at_ = give_up_at;
    if (connection.time_is_up()) {
        connection.context_ = nullptr;
        throw Failure{Kind::timeout, "sqlite: the time for this request was up before it began"};
    }
    if (interrupt == Interrupt::waiting) return;
    constexpr int operations_between_looks = 4000;  // well below a millisecond
    sqlite3_progress_handler(
        connection.handle_.get(), operations_between_looks,
        [](void* self) { return static_cast<const Connection*>(self)->time_is_up() ? 1 : 0; }, &connection);
}

Connection::Within::~Within() {
    sqlite3_progress_handler(connection_.handle_.get(), 0, nullptr, nullptr);
    connection_.context_ = nullptr;
}

void Connection::roll_back() noexcept {
    if (in_transaction()) sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

SteadyClock::time_point Connection::give_up_at(const RequestContext& context) const {
    return context.deadline.value_or(SteadyClock::now() + busy_timeout_);
}

void Connection::execute(const char* sql) {
    const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) throw failure(code);
}

bool Connection::use_write_ahead_log() {
    for (;;) {
        try {
            auto journal = prepare("PRAGMA journal_mode = WAL");
            return journal.step() && journal.text(0) == "wal";
        } catch (const Failure&) {
            // SQLite does not ask the busy handler where two connections switch a new file at the same moment.
            if ((sqlite3_errcode(handle_.get()) & 0xFF) != SQLITE_BUSY || !wait_for_lock()) throw;
        }
    }
}

void Connection::add_label_hash() {
    const auto hash = [](sqlite3_context* result, int, sqlite3_value** arguments) {
        const auto text = [](sqlite3_value* value) {
            const auto* begin = reinterpret_cast<const char*>(sqlite3_value_text(value));
            return begin ? std::string_view{begin, static_cast<std::size_t>(sqlite3_value_bytes(value))}
                         : std::string_view{};
        };
        sqlite3_result_int64(result, label_hash(text(arguments[0]), text(arguments[1])));
    };
    const int code = sqlite3_create_function_v2(handle_.get(), "label_hash", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                                nullptr, hash, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) throw failure(code);
}

void Connection::copy_to(Connection& to) {
    // The snapshot keeps what is copied the same from the first page to the last, so that no write of others makes
    // SQLite begin the copy again.
    const Snapshot snapshot{*this};
    number("SELECT count(*) FROM sqlite_schema");  // takes the snapshot
    const std::unique_ptr<sqlite3_backup, decltype(&sqlite3_backup_finish)> backup{
        sqlite3_backup_init(to.handle_.get(), "main", handle_.get(), "main"), sqlite3_backup_finish};
    if (!backup) throw to.failure(sqlite3_errcode(to.handle_.get()));
    constexpr int pages_between_looks = 1000;
    for (;;) {
        const int code = sqlite3_backup_step(backup.get(), pages_between_looks);
        if (code == SQLITE_DONE) return;
        if (code != SQLITE_OK) throw to.failure(code);
        if (time_is_up()) throw Failure{Kind::timeout, "sqlite: the time for this copy was up before it was whole"};
    }
}

Statement Connection::prepare(std::string_view sql) {
    if (const auto found = statements_.find(sql); found != statements_.end())
        return {*this, statements_.extract(found)};
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) throw failure(code);
    StatementCache::mapped_type owned{statement};  // also where there is no memory for its place in the cache
    StatementCache made;
    const auto entry = made.emplace(sql, std::move(owned));
    return {*this, made.extract(entry)};
}

std::int64_t Connection::number(std::string_view sql) {
    auto query = prepare(sql);
    return query.step() ? query.number(0) : 0;
}

std::int64_t Connection::changes() const noexcept { return sqlite3_changes64(handle_.get()); }

std::int64_t Connection::total_changes() const noexcept { return sqlite3_total_changes64(handle_.get()); }

std::int64_t Connection::last_key() const noexcept { return sqlite3_last_insert_rowid(handle_.get()); }

bool Connection::in_transaction() const noexcept { return sqlite3_get_autocommit(handle_.get()) == 0; }

Failure Connection::failure(int code) const {
    const int extended = handle_ ? sqlite3_extended_errcode(handle_.get()) : code;
    const int named = (extended & 0xff) == (code & 0xff) ? extended : code;
    // Without the path: clients see this text. Whoever opens the store adds the path to what the log says.
    std::string message = std::string{"sqlite: "} + sqlite3_errmsg(handle_.get());
    message += " (code " + std::to_string(named) + ")";
    return Failure{kind_of(named, time_is_up()), std::move(message)};
}

/// Whether the deadline of the request has passed or its caller has cancelled the request.
bool Connection::time_is_up() const noexcept {
    if (!context_) return false;
    return context_->stop.stop_requested() || (context_->deadline && SteadyClock::now() >= *context_->deadline);
}

bool Connection::wait_for_lock() const noexcept {
    const auto left = give_up_at_ - SteadyClock::now();
    if (left <= SteadyClock::duration::zero() || time_is_up()) return false;
    std::this_thread::sleep_for(std::min<SteadyClock::duration>(left, std::chrono::milliseconds{2}));
    return true;
}

}  // namespace fusebox::storage::sqlite

bool fusebox::storage::SqliteStore::spare_memory_statistics() noexcept {
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
}
