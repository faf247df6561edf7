// S1 … S5: see series_collector.hpp.
#include "series_collector.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <mutex>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <fusebox/text/utf8.hpp>

#include "registry_impl.hpp"

namespace fusebox {
namespace {

constexpr std::string_view sum_name = "other";

void add(CircuitBreakerMetrics& sum, const CircuitBreakerMetrics& part) {
    const auto add_all = [](auto& to, const auto& from) {
        std::ranges::transform(to, from, to.begin(), std::plus<>{});
    };
    sum.totals.admitted += part.totals.admitted;
    sum.totals.rejected += part.totals.rejected;
    sum.totals.successes += part.totals.successes;
    sum.totals.failed += part.totals.failed;
    sum.totals.slow += part.totals.slow;
    sum.totals.stale += part.totals.stale;
    sum.totals.fallbacks += part.totals.fallbacks;
    sum.totals.probes += part.totals.probes;
    add_all(sum.durations.buckets, part.durations.buckets);
    sum.durations.sum += part.durations.sum;
    sum.open_duration += part.open_duration;
    for (std::size_t from = 0; from < sum.transitions.size(); ++from) {
        add_all(sum.transitions[from], part.transitions[from]);
    }
}

/// A scrape with one byte that is not UTF-8 is refused as a whole, so such bytes are spelled out: `\xff`.
std::string readable(std::string_view name) {
    if (text::is_utf8(name)) return std::string{name};
    std::string result;
    while (!name.empty()) {
        const auto length = text::code_point_length(name);
        if (length != 0) {
            result += name.substr(0, length);
        } else {
            fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(name[0]));
        }
        name.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

}  // namespace

Registry::Impl::ScrapeList Registry::Impl::list_for_scrape() const {
    ScrapeList list;
    const Shared lock{mutex_};  // S2
    list.present.reserve(table_.size());
    table_.for_each([&](std::size_t at) {
        list.present.push_back({table_.record(at).number, table_.record(at).in_sum, table_.breaker(at)});
    });
    list.removed = removed_from_sum_;
    return list;
}

void Registry::Impl::forget_removed(std::size_t count) {
    const Shared lock{mutex_};  // S5
    removed_from_sum_.erase(removed_from_sum_.begin(), removed_from_sum_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Registry::Impl::put_in_sum(const std::vector<std::shared_ptr<CircuitBreaker>>& breakers) {
    const Shared lock{mutex_};  // S5
    for (const auto& breaker : breakers) {
        const auto at = table_.find(breaker->name());
        if (at != Table::nowhere && table_.breaker(at) == breaker) {
            table_.record(at).in_sum = true;
        } else {
            removed_from_sum_.push_back(breaker);  // removed since this scrape copied the list
        }
    }
}

std::vector<BreakerSeries> SeriesCollector::collect(const Registry& registry, std::size_t max_names) {
    auto& impl = *registry.impl_;
    Registry::Impl::ScrapeList list;  // destroyed without the mutex: it may be the last to hold a removed breaker
    const std::lock_guard one_at_a_time{impl.scrape_mutex};  // S1
    list = impl.list_for_scrape();
    auto& [present, removed] = list;

    // S4: each removed breaker is added once. Where one of these calls throws, `sum_of_removed` is as before and the
    // breakers are still in `removed_from_sum_`: the next scrape adds them.
    auto sum = impl.sum_of_removed.value_or(CircuitBreakerMetrics{});
    for (const auto& breaker : removed) add(sum, breaker->metrics());
    if (!removed.empty()) {
        impl.sum_of_removed = sum;
        impl.forget_removed(removed.size());
    }

    std::ranges::sort(present, {}, &Registry::Impl::ScrapedBreaker::number);
    const auto singles =
        static_cast<std::size_t>(std::ranges::count(present, false, &Registry::Impl::ScrapedBreaker::in_sum));
    const bool has_sum = impl.sum_of_removed || singles > max_names || singles < present.size();

    std::vector<std::pair<std::string, std::shared_ptr<CircuitBreaker>>> own;
    std::vector<std::shared_ptr<CircuitBreaker>> newly_in_sum;
    for (const auto& [number, in_sum, breaker] : present) {
        auto name = readable(breaker->name());
        // A breaker that is named like the sum would double its series.
        if (in_sum || own.size() == max_names || (has_sum && name == sum_name)) {
            add(sum, breaker->metrics());
            if (!in_sum) newly_in_sum.push_back(breaker);
        } else {
            own.emplace_back(std::move(name), breaker);
        }
    }
    impl.put_in_sum(newly_in_sum);

    std::ranges::sort(own, {}, &decltype(own)::value_type::first);
    std::vector<BreakerSeries> result;
    result.reserve(own.size() + 1);
    for (auto& [name, breaker] : own) result.push_back({std::move(name), breaker->metrics()});  // S3
    if (has_sum) result.push_back({std::string{sum_name}, sum, true});
    return result;
}

}  // namespace fusebox
