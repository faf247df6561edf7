#include <filesystem>
#include <fstream>
#include <sstream>

#include <fusebox/registry/state_store.hpp>

#include <sys/stat.h>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string content(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}
void write(const fs::path& path, std::string_view text) { std::ofstream{path, std::ios::binary} << text; }

TransitionReport report(std::uint64_t sequence) {
    return {.sequence = sequence,
            .from = State::closed,
            .to = State::open,
            .reason = TransitionReason::failure_rate,
            .threshold = 0.5,
            .observed = 2.0 / 3,
            .window = {.total = 30, .failures = 20, .slow = 3},
            .consecutive_failures = 4,
            .open_for = 30s,
            .attempt = 2,
            .config_version = 7,
            .last_outcomes = {{.age = 5ms,
                               .duration = 1s,
                               .outcome = Outcome::timeout,
                               .slow = true,
                               .message = "no answer",
                               .trace_id = "4bf92f35"},
                              {.age = 2s, .duration = 0s, .outcome = Outcome::abandoned}},
            .wall_time = WallTime{1'750'000'000'123'456us},
            .actor = "ada",
            .note = "a \"note\"\nof two lines → with more"};
}

BreakerSnapshot snapshot() {
    return {.state = State::open,
            .time_left = 12'345'678'901ns,
            .attempt = 3,
            .trip_count = 9,
            .generation = 42,
            .reports = {report(42), report(40)},
            .last_trip = report(42),
            .taken_at = WallTime{1'750'000'001'000'001us}};
}

SavedBreakers two() { return {{"store", snapshot()}, {"quiet", BreakerSnapshot{.generation = 1}}}; }

std::string message(const auto& result) { return result ? "no error" : result.error().message; }

/// `text` with `what`, which must be in it, replaced.
std::string with(std::string text, std::string_view what, std::string_view by) {
    const auto at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), by);
}

}  // namespace

TEST_CASE("R52: what is saved is what is loaded") {
    const TemporaryFolder folder;
    MemoryStateStore memory;
    FileStateStore file{folder.path() / "made" / "on demand" / "breakers.json"};
    for (StateStore* store : {static_cast<StateStore*>(&memory), static_cast<StateStore*>(&file)}) {
        REQUIRE(store->load_all());
        CHECK(store->load_all()->empty());
        REQUIRE(store->save(two()));
        CHECK(store->load_all() == two());
        // One takes the place of what was kept under its name, the others stay.
        REQUIRE(store->save({{"quiet", snapshot()}}));
        CHECK(store->load_all() == SavedBreakers{{"store", snapshot()}, {"quiet", snapshot()}});
        const std::vector<std::string> names{"quiet", "nobody"};
        REQUIRE(store->remove(names));
        CHECK(store->load_all() == SavedBreakers{{"store", snapshot()}});
    }
}

TEST_CASE("R52: a file is read by the next process, whoever saves first there") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "breakers.json";
    REQUIRE(FileStateStore{path}.save(two()));
    CHECK(FileStateStore{path}.load_all() == two());
    REQUIRE(FileStateStore{path}.save({{"third", snapshot()}}));  // without loading
    CHECK(FileStateStore{path}.load_all()->size() == 3);
    const std::vector<std::string> names{"store"};
    REQUIRE(FileStateStore{path}.remove(names));
    CHECK(FileStateStore{path}.load_all()->size() == 2);
    CHECK(std::distance(fs::directory_iterator{folder.path()}, {}) == 1);  // nothing is left beside it
}

TEST_CASE("R52: every state and reason, any bytes and the ends of every range come back") {
    SavedBreakers breakers;
    for (int state = 0; state < 6; ++state) {
        breakers["state " + std::to_string(state)] = {.state = static_cast<State>(state)};
    }
    auto& reasons = breakers["reasons"];
    reasons.generation = 100;
    for (int reason = static_cast<int>(TransitionReason::restored); reason >= 0; --reason) {
        auto one = report(static_cast<std::uint64_t>(reason) + 1);
        one.reason = static_cast<TransitionReason>(reason);
        reasons.reports.push_back(one);
    }
    auto odd = report(1);
    odd.note = std::string{"\0\xff\xc3\x28\xed\xa0\x80\\u0041\"", 14};
    odd.last_outcomes.clear();
    for (int outcome = 0; outcome <= static_cast<int>(Outcome::abandoned); ++outcome) {
        odd.last_outcomes.push_back(
            {.age = Duration::max(), .outcome = static_cast<Outcome>(outcome), .message = "\xc3", .trace_id = "\xff"});
    }
    odd.actor = "\xf0\x9f\x94\xa5";
    odd.wall_time = WallTime{WallTime::duration::min()};
    odd.open_for = Duration::max();
    odd.consecutive_failures = 4'294'967'295;
    odd.config_version = 18'446'744'073'709'551'615U;
    odd.threshold = -1.7976931348623157e308;
    odd.observed = 5e-324;
    breakers["\xff name \x01"] = {.state = State::open,
                                  .time_left = Duration::max(),
                                  .attempt = 4'294'967'295,
                                  .trip_count = BreakerSnapshot::most,
                                  .generation = BreakerSnapshot::most,
                                  .reports = {odd},
                                  .taken_at = WallTime{WallTime::duration::max()}};
    const auto parsed = parse_state(format_state(breakers));
    if (!parsed) FAIL(describe(parsed.error(), "state"));
    CHECK(*parsed == breakers);
    CHECK(parse_state(format_state({})) == SavedBreakers{});
}

TEST_CASE("R52: every truncation of a file is refused") {
    const auto text = format_state(two());
    for (std::size_t length = 0; length + 1 < text.size(); ++length) {  // the last byte is a line feed
        if (parse_state(text.substr(0, length))) FAIL("accepted at " << length);
    }
    const auto mistake = parse_state(text.substr(0, text.size() / 2)).error();
    CHECK(mistake.line > 10);
    CHECK(mistake.message.starts_with("is not JSON: "));
}

TEST_CASE("R52: a mistake is named by its field") {
    const auto good = format_state(two());
    REQUIRE(parse_state(good));
    const auto mistake = [&](std::string_view what, std::string_view by) {
        const auto parsed = parse_state(with(good, what, by));
        return parsed ? "accepted" : describe(parsed.error(), "f");
    };
    CHECK(mistake("\"fusebox breaker state\"", "\"something else\"") ==
          "f: format: is \"something else\", must be \"fusebox breaker state\"");
    CHECK(mistake("\"version\": 1", "\"version\": 2") == "f: version: is 2, this version of fusebox reads 1");
    CHECK(mistake("\"version\": 1,", "") == "f: version: is missing");
    CHECK(mistake("\"breakers\": [", "\"breakers\": [7,") == "f: breakers[0]: is 7, must be an object");
    CHECK(mistake("\"state\": \"open\"", "\"state\": \"ajar\"") ==
          "f: breakers[1].state: is \"ajar\", must be a state such as \"open\"");
    CHECK(mistake("\"reason\": \"failure_rate\"", "\"reason\": 3") ==
          "f: breakers[1].last_trip.reason: is 3, must be a reason such as \"failure_rate\"");
    CHECK(mistake("\"attempt\": 3", "\"attempt\": -1") ==
          "f: breakers[1].attempt: is -1, must be a whole number from 0 to 4294967295");
    CHECK(mistake("\"attempt\": 3", "\"attempt\": 4294967296").starts_with("f: breakers[1].attempt: is 4294967296"));
    CHECK(mistake("\"trip_count\": 9", "\"trip_count\": 9.5").starts_with("f: breakers[1].trip_count: is 9.5"));
    CHECK(mistake("12345678901", "-1").starts_with("f: breakers[1].time_left: "));  // what a breaker refuses
    CHECK(mistake("\"sequence\": 40", "\"sequence\": 42").starts_with("f: breakers[1].reports[1].sequence: "));
    CHECK(mistake("\"threshold\": 0.5", "\"threshold\": null") ==
          "f: breakers[1].last_trip.threshold: is null, must be a number");
    CHECK(mistake("\"threshold\": 0.5", "\"threshold\": 1e999").starts_with("f: "));
    CHECK(mistake("\"slow\": true", "\"slow\": 1") ==
          "f: breakers[1].last_trip.last_outcomes[0].slow: is 1, must be true or false");
    CHECK(mistake("\"outcome\": \"timeout\"", "\"outcome\": \"late\"") ==
          "f: breakers[1].last_trip.last_outcomes[0].outcome: is \"late\", must be an outcome such as \"failure\"");
    CHECK(mistake("\"age_ns\": 5000000", "\"age_ns\": -1")
              .starts_with("f: breakers[1].last_trip.last_outcomes[0].age: "));
    CHECK(mistake("\"actor\": \"ada\"", "\"actor\": [97, 256]") ==
          "f: breakers[1].last_trip.actor[1]: is 256, must be a whole number from 0 to 255");
    CHECK(mistake("\"name\": \"quiet\"", "\"name\": \"store\"") == "f: breakers[1].name: was there before");
    CHECK(mistake("\"name\": \"quiet\"", "\"name\": \"\"").starts_with("f: breakers[0].name: "));
    CHECK(mistake("\"name\": \"quiet\",", "").starts_with("f: breakers[0].name: is missing"));
    for (const auto* text : {"[]", "7", "null", "\"fusebox breaker state\""}) CHECK_FALSE(parse_state(text));
}

TEST_CASE("R52: any depth of nesting is refused without harm") {
    std::string deep(200'000, '[');
    CHECK_FALSE(parse_state(deep));
    deep.append(200'000, ']');
    CHECK_FALSE(parse_state(deep));
}

TEST_CASE("R52: a bad file is refused whole, says how to go on, and is never overwritten") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "breakers.json";
    const auto good = format_state(two());
    for (const auto& bad :
         {good.substr(0, good.size() / 3), with(good, "\"version\": 1", "\"version\": 2"), good + "x", std::string{}}) {
        write(path, bad);
        FileStateStore store{path};
        const auto loaded = store.load_all();
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().message.starts_with(path.string() + ":"));
        CHECK(loaded.error().message.find("until this file is mended or moved away") != std::string::npos);
        CHECK(message(store.save(two())) == loaded.error().message);
        CHECK(message(store.remove(std::vector<std::string>{"store"})) == loaded.error().message);
        CHECK(content(path) == bad);

        fs::remove(path);
        REQUIRE(store.save(two()));
        CHECK(store.load_all() == two());
    }
}

TEST_CASE("R52: a save that fails leaves the file as it was") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "breakers.json";
    FileStateStore store{path};
    REQUIRE(store.save(two()));
    const auto before = content(path);
    fs::create_directory(folder.path() / "breakers.json.new");  // where the next one would be written
    CHECK(message(store.save({{"third", snapshot()}}))
              .starts_with((folder.path() / "breakers.json.new").string() + ": cannot be written: "));
    CHECK(content(path) == before);
    fs::remove(folder.path() / "breakers.json.new");
    REQUIRE(store.save({{"fourth", snapshot()}}));
    // What was not saved then was not taken for saved.
    CHECK(store.load_all()->contains("fourth"));
    CHECK_FALSE(store.load_all()->contains("third"));

    FileStateStore folder_itself{folder.path()};
    CHECK(message(folder_itself.load_all()) == folder.path().string() + ": is a folder, and must be a regular file");
    const auto fifo = folder.path() / "fifo.json";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);  // the ordinary way to open it would wait for a writer
    CHECK(message(FileStateStore{fifo}.load_all()) == fifo.string() + ": is a FIFO, and must be a regular file");
    const auto loop = folder.path() / "loop.json";
    fs::create_symlink(loop, loop);
    CHECK(message(FileStateStore{loop}.load_all()) ==
          loop.string() + ": cannot be read: Too many levels of symbolic links");
    FileStateStore below_a_file{path / "x" / "breakers.json"};
    CHECK(message(below_a_file.save(two())).find(path.string()) != std::string::npos);
}

TEST_CASE("R52: the file is for its owner only, and a link left beside it is not followed") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "breakers.json";
    const auto other = folder.path() / "other";
    write(other, "untouched");
    fs::create_symlink(other, folder.path() / "breakers.json.new");
    write(path, format_state({}));
    fs::permissions(path, fs::perms{0644});
    REQUIRE(FileStateStore{path}.save(two()));
    CHECK(content(other) == "untouched");
    CHECK(fs::symlink_status(path).type() == fs::file_type::regular);
    CHECK(fs::status(path).permissions() == fs::perms{0600});
    CHECK(FileStateStore{path}.load_all() == two());
}

}  // namespace fusebox::test
