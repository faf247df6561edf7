"""What the rows of core_bench are called and held to, and how their figures are judged and shown."""

import math
import statistics

TSC, ADD, NOOP = "baseline/tsc_pair", "baseline/fetch_add", "baseline/noop"
STEADY = "baseline/steady_clock_pair"
# The processor's own measure for plain instructions, at the speed at which it runs now.
CYCLES = "baseline/cycles100"
# bench/parts.cpp says what the parts of an operation are.
TIMED, UNTIMED, FAILURE, REJECTION, LOAD, LOOKUP, FAMILIES = (
    f"parts/{name}" for name in ("timed", "untimed", "failure", "rejection", "load", "lookup", "families"))


class Bound:
    """The most that a row may take: `times` × another row with as many threads, and `cycles` of the processor beside;
    or `times` nanoseconds ("ns")."""

    def __init__(self, times, of, cycles=0):
        self.times, self.of, self.cycles = times, of, cycles

    def limit(self, ns, threads):
        """In nanoseconds, from the figures of one run; None where what it needs was not run."""
        if self.of == "ns":
            return self.times
        other, hundred = ns.get((self.of, threads)), ns.get((CYCLES, 1), None if self.cycles else 0.0)
        return None if other is None or hundred is None else self.times * other + self.cycles * hundred / 100

    def __str__(self):
        if self.of == "ns":
            return duration(self.times)
        times = "" if self.times == 1 else f"{self.times:,.7g} × "
        cycles = f" + {self.cycles} cycle" + "s" * (self.cycles != 1) if self.cycles else ""
        return f"{times}{short(self.of)}{cycles}"


def parts(of, cycles):
    """What our code may add to its parts."""
    return Bound(1, of, cycles)


class Row:
    def __init__(self, name, title, baseline=None, bounds=(None, None), allocates=True):
        self.name, self.title, self.baseline, self.bounds, self.allocates = name, title, baseline, bounds, allocates


def both(of, cycles):
    """The same with one thread and with two."""
    return (parts(of, cycles), parts(of, cycles))


ROWS = [
    Row(NOOP, "a call of nothing"),
    Row("baseline/steady_clock", "one `steady_clock` read"),
    Row(STEADY, "two `steady_clock` reads"),
    Row(TSC, "two TSC reads"),
    Row(ADD, "relaxed `fetch_add`, one line"),
    Row("baseline/mutex", "lock and unlock, one mutex"),
    Row(CYCLES, "100 cycles of the processor"),
    Row(TIMED, "the parts of a timed success"),
    Row(UNTIMED, "the parts of an untimed success"),
    Row(FAILURE, "the parts of a failure"),
    Row(REJECTION, "the parts of a rejection"),
    Row(LOAD, "one load"),
    Row(LOOKUP, "the parts of a look-up"),
    Row(FAMILIES, "a copy of the families of 1,000 breakers"),
    Row("call_success/timed", "successful call, default configuration", TSC, both(TIMED, 35), False),
    Row("call_success/untimed", "successful call, nothing timed", ADD, both(UNTIMED, 20), False),
    Row("call_success/count100", "successful call, count window 100", TSC, both(TIMED, 35), False),
    Row("call_success/time60", "successful call, time window 60 s", TSC, both(TIMED, 35), False),
    Row("call_failure/timed", "failing call (error value)", TSC, (parts(FAILURE, 180), None), False),
    Row("reject/call", "rejection by `call()`, open", TSC, both(REJECTION, 20), False),
    Row("state", "`state()`", LOAD, both(LOAD, 1), False),
    Row("lookup/10000", "registry look-up, 10,000 names", TSC, both(LOOKUP, 100)),
    Row("permit", "permit form, success", TSC),
    Row("permit/2ms", "permit form, success of 2 ms", TSC),
    Row("coroutine/bare", "awaiting the operation alone"),
    Row("coroutine/call", "awaiting it through a breaker", TSC),
    Row("snapshot", "`metrics()`", TSC),
    Row("listener", "successful call, per-call listener", TSC),
    Row("pipeline/retry", "retry > breaker", TSC),
    Row("pipeline/five", "fallback > retry > breaker > bulkhead > timeout", TSC),
    Row("scrape/1000", "Prometheus families of 1,000 breakers", FAMILIES, (Bound(10e6, "ns"), None)),
    Row("scrape_text/1000", "the same, and their text by prometheus-cpp", FAMILIES),
]

# What `./dev check` holds the rows to: looser than what is promised, and never in nanoseconds, so that it fails where
# the code got slower and not where the machine is slow or busy. Each is held to its own parts (bench/parts.cpp), which
# are as dear as the processor makes them, and to a number of cycles for what our code adds to them.
GUARD = [
    ("call_success/timed", 1, parts(TIMED, 45)),
    ("call_success/timed", 2, parts(TIMED, 45)),
    ("call_success/untimed", 1, parts(UNTIMED, 25)),
    ("call_success/untimed", 2, parts(UNTIMED, 25)),
    ("call_success/count100", 1, parts(TIMED, 45)),
    ("call_success/count100", 2, parts(TIMED, 45)),
    ("call_failure/timed", 1, parts(FAILURE, 220)),
    ("permit/2ms", 1, parts(FAILURE, 150)),
    ("reject/call", 1, parts(REJECTION, 25)),
    ("reject/call", 2, parts(REJECTION, 25)),
    ("state", 1, parts(LOAD, 1)),
    # It misses the cache, and more often so when the machine is busy.
    ("lookup/10000", 1, parts(LOOKUP, 150)),
    # Its short repetitions of two threads begin with cold caches.
    ("lookup/10000", 2, parts(LOOKUP, 250)),
    ("scrape/1000", 1, Bound(2, FAMILIES)),
]


class Wrong(Exception):
    """The figures cannot be judged; its text says why."""


def repetitions(report):
    """(row, threads) → its repetitions: [(wall time ÷ operations in ns, allocations per operation), …]. The time is the
    rows' own counter `wall` (bench/rows.hpp says why)."""
    found = {}
    for entry in report["benchmarks"]:
        if entry.get("error_occurred"):
            raise Wrong(f"{entry['name']}: {entry['error_message']}")
        if entry["run_type"] == "iteration":
            row, _, threads = entry["run_name"].rpartition("/threads:")
            found.setdefault((row, int(threads)), []).append((entry["wall"], entry["allocations"]))
    return found


def condensed(found, how):
    """(row, threads) → one figure: the median or the minimum of its repetitions."""
    return {key: how(ns for ns, _ in values) for key, values in found.items()}


def allocations_of(found, name):
    """Per operation, at most; what happens once in a thousand operations is not counted as none."""
    return max(statistics.median(count for _, count in values) for (row, _), values in found.items() if row == name)


def short(name):
    """A baseline's name without what all baselines have."""
    return name.removeprefix("baseline/")


def at(name, threads):
    return f"{name} at {threads} thread" + ("" if threads == 1 else "s")


def core_table(found, partial=False):
    """The rows as lists of words, title first, and what is not as promised. `partial`: rows may be missing."""
    ns = condensed(found, statistics.median)
    lines = [["operation", "row", "1 thread", "must", "2 threads", "must", "÷ its baseline", "allocations"]]
    broken = []
    for row in ROWS:
        if (row.name, 1) not in ns:
            if not partial:
                broken.append(f"{row.name}: was not measured")
            continue
        words = [row.title, f"`{row.name}`"]
        for threads, bound in enumerate(row.bounds, 1):
            figure = ns.get((row.name, threads))
            words.append("" if figure is None else duration(figure))
            limit = bound.limit(ns, threads) if bound and figure is not None else None
            if limit is None:
                words.append("")
                continue
            words.append(f"≤ {duration(limit)}: " + ("yes" if figure <= limit else "NO"))
            if figure > limit:
                broken.append(f"{at(row.name, threads)}: {duration(figure)}, must be ≤ {duration(limit)} ({bound})")
        baseline = ns.get((row.baseline, 1))
        words.append(f"{ns[row.name, 1] / baseline:.2f} × {short(row.baseline)}" if baseline else "")
        allocations = allocations_of(found, row.name)
        words.append("0" if allocations < 0.001 else
                     f"{allocations:,.3g}" if allocations < 1000 else f"{allocations:,.0f}")
        if not row.allocates and allocations >= 0.001:
            words[-1] += " (must be 0): NO"
            broken.append(f"{row.name}: {allocations:.3g} allocations per operation, must be 0")
        lines.append(words)
    return lines, broken


def guard(found, cores=2):
    """One line for each comparison, and those that failed. Of every row the fastest repetition counts, of the parts
    too: what else runs on the machine can only add to a figure. `cores`: how many the process may use; with fewer than
    a row has threads they run one after the other, which tells nothing."""
    ns = condensed(found, min)
    lines, broken = [], []
    for name, threads, bound in GUARD:
        if threads > cores:
            lines.append(f"{at(name, threads)}: not compared, this process may use only {cores} core")
            continue
        if (name, threads) not in ns:
            broken.append(f"{at(name, threads)}: was not measured")
            continue
        limit, figure = bound.limit(ns, threads), ns[name, threads]
        if limit is None:
            broken.append(f"{at(name, threads)}: what it is held to, {bound}, was not measured")
            continue
        line = f"{at(name, threads)}: {duration(figure)}, at most {duration(limit)} ({bound})"
        lines.append(line)
        if figure > limit:
            broken.append(line)
    for row in ROWS:
        if row.allocates or (row.name, 1) not in found:
            continue
        if (count := allocations_of(found, row.name)) >= 0.001:
            broken.append(f"{row.name}: {count:.3g} allocations per operation, must be 0")
    return lines, broken


def median_and_interval(values):
    """The median and its confidence interval by ranks, of at least 95 %, which asks nothing of the distribution."""
    ordered = sorted(values)
    low = max(0, math.floor(len(ordered) / 2 - 0.98 * math.sqrt(len(ordered))) - 1)
    return statistics.median(ordered), ordered[low], ordered[-1 - low]


def within(limit, low, high):
    """Whether what lies between `low` and `high` with 95 % confidence is at most `limit`: only "yes" is as promised."""
    return "yes" if high <= limit else "NO" if low > limit else "too noisy to say"


SCRAPES = ("ten a second", "one after the other")


def scrape_table(measured):
    """Callers' percentiles in quiet phases and in those with scrapes, and what is not as promised: of the p99.9's
    difference in a round the median, by its interval, may be at most a tenth of the quiet p99.9."""
    rounds = measured["rounds"]
    lines = [["calls over 1,000 breakers", "without scrapes"]]
    for kind in SCRAPES:
        lines[0] += [f"scrapes {kind}", "difference in a round", "must"]
    broken = []
    for place, title in enumerate(("half within", "99 of 100 within", "999 of 1,000 within (p99.9)")):
        quiet = statistics.median(phases[0]["calls"][place] for phases in rounds)
        lines.append([title, duration(quiet)])
        for index, kind in enumerate(SCRAPES, 1):
            differences = [phases[index]["calls"][place] - phases[0]["calls"][place] for phases in rounds]
            middle, low, high = median_and_interval(differences)
            difference = f"{middle:+.0f} ns ({low:+.0f} … {high:+.0f})"
            during = statistics.median(phases[index]["calls"][place] for phases in rounds)
            lines[-1] += [duration(during), difference, ""]
            if not title.endswith("(p99.9)"):
                continue
            limit = 0.1 * quiet
            verdict = within(limit, low, high)
            lines[-1][-1] = f"≤ {limit:+.0f} ns: {verdict}"
            if verdict != "yes":
                broken.append(f"calls during scrapes {kind}: p99.9 differs by {difference} from {duration(quiet)}, "
                              f"must be ≤ {limit:+.0f} ns: {verdict}")
    lines.append(["a scrape", ""])
    for index, kind in enumerate(SCRAPES, 1):
        scrape = statistics.median(ms for phases in rounds for ms in phases[index]["scrape_ms"])
        lines[-1] += [f"{scrape:.2f} ms", "", "≤ 10 ms: " + ("yes" if scrape <= 10 else "NO")]
        if scrape > 10:
            broken.append(f"a scrape of 1,000 breakers, {kind}: {scrape:.1f} ms, must be ≤ 10 ms")
    middle, low, high = median_and_interval(measured["line_ns"])
    lines.append(["a word's way from core to core", f"{middle:.0f} ns ({low:.0f} … {high:.0f})", *[""] * 6])
    return lines, broken


MEMORY_OF = {"called": "called once each", "used": "used in two slices each", "failed": "one failure each",
             "tripped": "tripped once each"}


def memory_table(measured):
    """A million breakers in ordinary use are held to a bound; the others are shown."""
    lines, broken = [["breakers in a registry", "allocated, each", "resident, each", "must"]], []
    for entry in measured:
        count = entry["breakers"]
        held = entry["how"] == "used" and count == 1_000_000
        title = f"{count:,}, {MEMORY_OF[entry['how']]}"
        if "allocated" not in entry:
            lines.append([title, "not measured", entry["why"], "≤ 1,024: NO" if held else ""])
            if held:
                broken.append(f"memory of {count:,} breakers: not measured: {entry['why']}")
            continue
        each = [entry["allocated"] / count, entry["resident"] / count]
        must = ""
        if held:
            must = "≤ 1,024: " + ("yes" if max(each) <= 1024 else "NO")
            if max(each) > 1024:
                broken.append(f"memory per breaker at a million: {max(each):,.0f} bytes, must be ≤ 1,024")
        lines.append([title, *(f"{value:,.0f} bytes" for value in each), must])
    return lines, broken


def real_table(measured):
    """`measured`: title → [[ns without the breaker, ns with it], …], or why there are no figures."""
    lines = [["request on loopback", "without", "with a breaker", "difference, median of pairs", "95 % confidence",
              "pairs", "must"]]
    broken = []
    for title, pairs in measured.items():
        if isinstance(pairs, str):
            lines.append([title, f"not measured: {pairs}", "", "", "", "", "≤ 1 %: NO"])
            broken.append(f"{title} with a breaker: not measured: {pairs}")
            continue
        without = statistics.median(pair[0] for pair in pairs)
        middle, low, high = (100 * value / without for value in median_and_interval([b - a for a, b in pairs]))
        verdict = within(1, low, high)
        lines.append([title, duration(without), duration(statistics.median(pair[1] for pair in pairs)),
                      f"{middle:+.2f} %", f"{low:+.2f} … {high:+.2f} %", f"{len(pairs):,}", f"≤ 1 %: {verdict}"])
        if verdict != "yes":
            broken.append(f"{title} with a breaker: {middle:+.2f} % ({low:+.2f} … {high:+.2f} %), "
                          f"must be ≤ 1 %: {verdict}")
    return lines, broken


def duration(ns):
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if ns >= 10 * size or (unit == "ms" and ns >= size):
            return f"{ns / size:.2f} {unit}"
    return f"{ns:.2f} ns" if ns < 10 else f"{ns:.1f} ns"


def plain(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip() for line in lines)


def markdown(lines):
    head, *body = lines
    rule = ["---" if word in (head[0], "row", "must") else "---:" for word in head]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *body])
