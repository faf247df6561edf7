#!/usr/bin/env python3
"""Runs the benchmarks of build/release/bin and shows their figures. `./dev bench` builds them and calls this.

Without arguments it measures everything and writes the figures of docs/performance.md."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import textwrap

import peers
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"
PAGE = ROOT / "docs/performance.md"
BEGIN = "<!-- figures: written by ./dev bench -->"
END = "<!-- end of figures -->"
INTAKE_BEGIN = "<!-- figures: written by ./dev bench ingest --write -->"
INTAKE_END = "<!-- end of the intake's figures -->"
RESENDS_BEGIN = "<!-- figures: written by ./dev bench resends --write -->"
RESENDS_END = "<!-- end of the figures of re-sends -->"
SECONDS_PER_PEER = 15


def said(*command):
    """What a program prints, as JSON."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise report.Wrong(f"{pathlib.Path(command[0]).name} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def core(out, repetitions, min_time, rows=None):
    """Runs core_bench; its repetitions are taken in random order, so that a drift of the machine meets all rows
    alike."""
    command = [BIN / "core_bench", f"--benchmark_out={out}", "--benchmark_out_format=json",
               f"--benchmark_repetitions={repetitions}", f"--benchmark_min_time={min_time}",
               "--benchmark_enable_random_interleaving=true"]
    if rows:
        command.append(f"--benchmark_filter={rows}")
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise report.Wrong(f"core_bench failed:\n{done.stderr}")
    return report.repetitions(json.loads(out.read_text(encoding="utf-8")))


def memory():
    """Each number of breakers in a process of its own; a million only where they fit."""
    measured = []
    for how in ("called", "used"):
        each = 0
        for count in (1, 1_000, 1_000_000):
            needed = each * count
            free = 1024 * int(re.search(r"MemAvailable: +(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))
            if needed > 0.5 * free:
                why = f"would need {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free"
                measured.append({"breakers": count, "how": how, "why": why})
            else:
                measured.append(said(BIN / "registry_bench", "memory", count, how))
                each = measured[-1]["resident"] / count
    return measured + [said(BIN / "registry_bench", "memory", 1_000, how) for how in ("failed", "tripped")]


def real():
    """Title → what real_bench printed, or why there is nothing."""
    program = BIN / "real_bench"
    requests = {"Redis GET": ("redis", peers.redis()), "Postgres SELECT 1": ("postgres", peers.postgres()),
                "HTTP GET": ("http", peers.http(program))}
    measured = {}
    for title, (what, peer) in requests.items():
        try:
            if not program.exists():
                raise report.Wrong("real_bench was not built: hiredis, cpp-httplib or libpqxx is missing")
            with peer as address:
                measured[title] = said(program, what, address, SECONDS_PER_PEER)
        except Exception as error:  # whatever ails one peer, all other figures of the run are kept
            measured[title] = " ".join(str(error).split())
    return measured


def machine():
    cpu = re.search(r"model name\s*: (.+)", pathlib.Path("/proc/cpuinfo").read_text())
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    return (f"{datetime.date.today()}; {cpu.group(1) if cpu else platform.processor()}, {os.cpu_count()} cores, "
            f"{platform.system()} {platform.release()}; {compiler}; preset `release`; "
            f"load average at the start {os.getloadavg()[0]:.1f}")


def everything():
    where = machine()
    parts = []

    def part(title, lines_and_broken):
        lines, broken = lines_and_broken
        print(f"\n{title}\n\n{report.plain(lines)}", flush=True)
        parts.append((title, lines))
        return broken

    broken = part("Operations", report.core_table(core(ROOT / "build/release/bench.json", 12, 0.1)))
    broken += part("Scrapes", report.scrape_table(said(BIN / "registry_bench", "scrape")))
    broken += part("Memory", report.memory_table(memory()))
    broken += part("Real work", report.real_table(real()))
    write_page(PAGE, where, parts, broken)
    print(f"\nThe figures of {PAGE.relative_to(ROOT)} were written.")
    return broken


def write_page(page, where, parts, broken, begin_mark=BEGIN, end_mark=END):
    """Replaces what stands between the marks; the prose around stays."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise report.Wrong(f"{page} has no block between '{begin_mark}' and '{end_mark}'")
    block = [begin_mark, textwrap.fill(f"Measured {where}.", 120)]
    block += [f"### {title}\n\n{report.markdown(lines)}" for title, lines in parts]
    block.append("Not as promised in this run:\n\n" + "\n".join(f"- {line}" for line in broken)
                 if broken else "Every bound was met in this run.")
    block.append(end_mark)
    page.write_text(before + "\n\n".join(block) + after, encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", metavar="FILE", type=pathlib.Path,
                           help="only the operations; also write Google Benchmark's JSON to FILE")
    arguments.add_argument("--filter", metavar="REGEX",
                           help="only the operations whose row matches, and what they are held to")
    arguments.add_argument("--quick", action="store_true", help="only the operations, with few and short repetitions")
    arguments.add_argument("--guard", action="store_true",
                           help="fail where an operation got slower than its parts allow")
    options = arguments.parse_args()
    out = (options.json or ROOT / "build/release/bench.json").absolute()

    if os.getloadavg()[0] > 0.5:
        print(f"The machine is busy (load average {os.getloadavg()[0]:.1f}): figures will be too high.",
              file=sys.stderr)
    if options.guard:
        rows = "|".join(sorted({f"^{name}/threads" for name, _, _ in report.GUARD} | {"^parts/", f"^{report.CYCLES}/"}))
        found = {}
        # On a busy machine it takes luck that both threads of a row run at once for a whole repetition.
        for _ in range(3):
            for key, values in core(out, 60, 0.002, rows).items():
                found.setdefault(key, []).extend(values)
            lines, broken = report.guard(found, len(os.sched_getaffinity(0)))
            if not broken:
                break
        print("\n".join(lines))
    elif options.json or options.filter or options.quick:
        rows = f"^baseline/|^parts/|{options.filter}" if options.filter else None
        lines, broken = report.core_table(core(out, *((3, 0.02) if options.quick else (12, 0.1)), rows),
                                          partial=bool(rows))
        print(report.plain(lines))
    else:
        broken = everything()
    if broken:
        print("\nNot as promised:\n" + "\n".join(f"  {line}" for line in broken))
    # Only the guard judges; a measurement reports what it saw.
    return 1 if options.guard and broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (report.Wrong, peers.NotStarted) as wrong:
        sys.exit(f"bench: {wrong}")
