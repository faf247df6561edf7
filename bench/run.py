#!/usr/bin/env python3
"""Runs the benchmarks of build/release/bin and shows them as a table. Called by `./dev bench`, which builds them first."""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"
PAGE = ROOT / "docs/performance.md"


class Bound:
    """What a figure is held to: `times` a baseline's figure, its own figure at one thread (`self`), or nanoseconds."""

    def __init__(self, times, of, *alternatives):
        self.times, self.of, self.alternatives = times, of, alternatives

    def limit(self, figures, row):
        if self.of == "ns":
            own = self.times
        else:
            of = figures.get((row if self.of == "self" else self.of, 1))
            own = None if of is None else self.times * of["ns"]
        others = [bound.limit(figures, row) for bound in self.alternatives]
        known = [limit for limit in [own, *others] if limit is not None]
        return max(known) if known else None

    def __str__(self):
        words = {"ns": f"{self.times:g} ns", "self": f"{self.times:g} × own 1 thread"}
        return " or ".join([words.get(self.of, f"{self.times:g} × {self.of.removeprefix('baseline/')}"),
                            *map(str, self.alternatives)])


TSC = "baseline/tsc_pair"
ADD = "baseline/fetch_add"
# row, what people call it, the baseline that bounds it, the bound at 1 thread and at 2 threads
ROWS = [
    ("baseline/noop", "a call of nothing", None, None, None),
    ("baseline/steady_clock", "one `steady_clock` read", None, None, None),
    ("baseline/steady_clock_pair", "two `steady_clock` reads", None, None, None),
    (TSC, "two TSC reads", None, None, None),
    (ADD, "relaxed `fetch_add`, one line", None, None, None),
    ("baseline/mutex", "lock and unlock, one mutex", None, None, None),
    ("call_success/timed", "successful call, default configuration", TSC, Bound(1.35, TSC), Bound(0.62, "self")),
    ("call_success/untimed", "successful call, nothing timed", ADD, Bound(9, "ns", Bound(2, ADD)), Bound(0.65, "self")),
    ("call_success/count100", "successful call, count window 100", TSC, Bound(1.5, TSC), Bound(1, "self")),
    ("call_success/time60", "successful call, time window 60 s", TSC, Bound(1.35, TSC), Bound(0.62, "self")),
    ("call_failure/timed", "failing call (error value)", TSC, Bound(4, TSC), None),
    ("reject/call", "rejection by `call()`, open", TSC, Bound(0.5, TSC), Bound(0.6, "self")),
    ("state", "`state()`", "baseline/noop", Bound(1.5, "ns"), Bound(0.6, "self")),
    ("lookup/10000", "registry look-up, 10,000 names", ADD, Bound(40, "ns"), Bound(0.65, "self")),
    ("permit", "permit form, success", TSC, None, None),
    ("snapshot", "`metrics()`", TSC, None, None),
    ("listener", "successful call, per-call listener", TSC, None, None),
    ("pipeline/retry", "retry > breaker", TSC, None, None),
    ("pipeline/five", "fallback > retry > breaker > bulkhead > timeout", TSC, None, None),
    ("scrape/1000", "Prometheus text of 1,000 breakers", None, Bound(10e6, "ns"), None),
]
# Of these the issue says that they allocate nothing.
ALLOCATION_FREE = {row[0] for row in ROWS if row[0].startswith(("call_", "reject", "state"))}


def measure(options, out):
    command = [BIN / "core_bench", f"--benchmark_out={out}", "--benchmark_out_format=json",
               f"--benchmark_repetitions={3 if options.quick else 12}",
               f"--benchmark_min_time={0.02 if options.quick else 0.1}",
               "--benchmark_enable_random_interleaving=true"]
    if options.filter:
        # The baselines are what the others are compared with, so they are always part of the run.
        command.append(f"--benchmark_filter=^baseline/|{options.filter}")
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"core_bench failed:\n{done.stderr}")
    return json.loads(out.read_text())


def figures_of(report):
    """(row, threads) → ns, allocations, spread: medians of the repetitions."""
    figures = {}
    for entry in report["benchmarks"]:
        if entry.get("error_occurred"):
            sys.exit(f"{entry['name']}: {entry['error_message']}")
        row, _, threads = entry["run_name"].rpartition("/threads:")
        figure = figures.setdefault((row, int(threads)), {})
        if entry.get("aggregate_name") == "median":
            figure["ns"] = entry["real_time"]
            figure["allocations"] = entry["allocations"]
        elif entry.get("aggregate_name") == "cv":
            figure["spread"] = entry["real_time"]
    return figures


def number(value):
    if value is None:
        return ""
    if value >= 1e6:
        return f"{value / 1e6:.2f} ms"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def judge(bound, figures, row, threads):
    """("≤ 23.1 (1.35 × tsc_pair)", met or None)"""
    if bound is None or (row, threads) not in figures:
        return "", None
    limit = bound.limit(figures, row)
    if limit is None:
        return "", None
    return f"≤ {number(limit)} ({bound})", figures[row, threads]["ns"] <= limit


def table(figures):
    lines = [["operation", "row", "1 thread, ns", "2 threads, ns", "÷ baseline", "2 ÷ 1", "allocations", "bound", "met"]]
    for row, title, baseline, *bounds in ROWS:
        one, two = figures.get((row, 1)), figures.get((row, 2))
        if one is None:
            continue
        ratio = ""
        if baseline and (baseline, 1) in figures:
            ratio = f"{one['ns'] / figures[baseline, 1]['ns']:.2f} {baseline.removeprefix('baseline/')}"
        judged = [judge(bound, figures, row, threads) for threads, bound in enumerate(bounds, 1)]
        words = [f"{threads}: {text}" for threads, (text, _) in enumerate(judged, 1) if text]
        met = [ok for _, ok in judged if ok is not None]
        allocations = max(one["allocations"], two["allocations"] if two else 0)
        if row in ALLOCATION_FREE:
            words.append("no allocation")
            met.append(allocations < 0.001)
        lines.append([title, row, number(one["ns"]), number(two["ns"]) if two else "", ratio,
                      f"{two['ns'] / one['ns']:.2f}" if two else "", f"{allocations:.3g}" if allocations >= 0.001 else "0",
                      "; ".join(words), "" if not met else "yes" if all(met) else "NO"])
    return lines


def show(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    arguments.add_argument("--json", metavar="FILE", type=pathlib.Path, help="also write Google Benchmark's JSON to FILE")
    arguments.add_argument("--filter", metavar="REGEX", help="only rows whose name matches, and the baselines")
    arguments.add_argument("--quick", action="store_true", help="few and short repetitions: a first impression")
    options = arguments.parse_args()
    out = (options.json or ROOT / "build/release/bench.json").resolve()
    figures = figures_of(measure(options, out))
    show(table(figures))


if __name__ == "__main__":
    main()
