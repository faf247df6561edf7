// A day of alerts that fire all the time: `resend_bench FOLDER [ALERTS] [HOURS]` has ALERTS (10,000) alerts fire, sends
// each again every minute for HOURS (24) on a clock of its own, with upkeep every 15 s as incidentd does it, and
// prints one JSON object: for each hour what was written to the store's files, their size and the memory in use.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/storage/sqlite_store.hpp>

namespace {

using namespace fusebox;
using namespace std::chrono_literals;
using incidents::WallTime;

constexpr std::size_t per_request = 64;  // as Prometheus sends them

/// The number behind `name` in one of the kernel's "name: number" files.
std::uint64_t number_in(const char* file, std::string_view name) {
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
    }
    throw std::runtime_error(std::string{file} + " has no line " + std::string{name});
}

std::uintmax_t size_of(const std::filesystem::path& folder) {
    std::uintmax_t size = 0;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) size += entry.file_size();
    return size;
}

template <class T>
T need(incidents::StoreResult<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void run(const std::filesystem::path& folder, std::size_t count, int hours) {
    auto store = need(storage::SqliteStore::open({.path = folder / "incidentd.db"}));
    WallTime now{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};
    incidents::IncidentService service{*store, {}, {}, [&now] { return now; }};

    std::vector<incidents::Alert> alerts(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto& alert = alerts[i];
        alert.source = "prometheus";
        alert.title = "Requests take long";
        alert.labels = {{"alertname", "HighLatency"},
                        {"instance", "host-" + std::to_string(i) + ".example.org:9100"},
                        {"job", "node"},
                        {"severity", "warning"},
                        {"team", "storage"}};
        alert.annotations = {{"summary", "Requests take long"},
                             {"runbook_url", "https://runbooks.example.org/latency"}};
        alert.starts_at = now;
    }
    const auto began = std::chrono::steady_clock::now();
    const auto written_before = number_in("/proc/self/io", "wchar:");
    std::printf(R"({"alerts": %zu, "hours": [)", count);
    for (int minute = 0; minute < hours * 60; ++minute) {
        for (auto& alert : alerts) alert.ends_at = now + 4min;
        for (std::size_t quarter = 0; quarter < 4; ++quarter) {
            const auto first_of_it = quarter * count / 4;
            const auto part = std::span{alerts}.subspan(first_of_it, (quarter + 1) * count / 4 - first_of_it);
            for (std::size_t first = 0; first < part.size(); first += per_request) {
                need(service.ingest(part.subspan(first, std::min(per_request, part.size() - first))));
            }
            need(service.flush_sightings());
            need(service.expire());
            now += 15s;
        }
        // The first minute stores the incidents; what is of interest is what follows.
        if (minute == 0 || (minute + 1) % 60 == 0) {
            std::printf(R"(%s{"minute": %d, "written": %llu, "files": %llu, "resident": %llu})",
                        minute == 0 ? "" : ", ", minute + 1,
                        static_cast<unsigned long long>(number_in("/proc/self/io", "wchar:") - written_before),
                        static_cast<unsigned long long>(size_of(folder)),
                        static_cast<unsigned long long>(1024 * number_in("/proc/self/status", "VmRSS:")));
            std::fflush(stdout);
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    const auto counts = need(store->incident_counts({}));
    const auto open = counts.find(incidents::IncidentState::detected);
    std::printf("], \"took_seconds\": %.1f, \"open\": %llu}\n", took.count(),
                static_cast<unsigned long long>(open == counts.end() ? 0 : open->second));
}

}  // namespace

int main(int argc, char** argv) {
    const auto number = [&](int index, long otherwise) {
        long value = otherwise;
        if (argc > index) std::from_chars(argv[index], argv[index] + std::string_view{argv[index]}.size(), value);
        return value;
    };
    const long count = number(2, 10'000);
    const long hours = number(3, 24);
    if (argc < 2 || count < 1 || hours < 1) {
        std::fprintf(stderr, "resend_bench FOLDER [ALERTS] [HOURS]: FOLDER exists and is empty, the numbers are ≥ 1\n");
        return 2;
    }
    try {
        run(argv[1], static_cast<std::size_t>(count), static_cast<int>(hours));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "resend_bench: %s\n", error.what());
        return 1;
    }
}
