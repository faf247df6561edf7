#!/usr/bin/env python3
"""A day of alerts that fire all the time and are sent again every minute. `./dev bench resends` builds resend_bench and
calls this.

The clock is the bench's own, so a day takes minutes. Upkeep runs every 15 s, as incidentd does it."""

import argparse
import sys
import tempfile

import report
import run

MINUTES_SHOWN = (1, 60, 120, 360, 720, 1440)
MAY_GROW = 1.05  # from the first hour to the last


def mib(size):
    return f"{size / 2**20:,.1f} MiB"


def table(measured):
    """The lines of the table, and what is not as promised."""
    rows = {row["minute"]: row for row in measured["hours"]}
    lines = [["after", "written to files since the start", "written a minute since the line before",
              "size of the files", "memory of the process"]]
    before = {"minute": 0, "written": 0}
    for minute in sorted(set(MINUTES_SHOWN) & set(rows)):
        row = rows[minute]
        each = (row["written"] - before["written"]) / (minute - before["minute"])
        lines.append([f"{minute} min" if minute < 60 else f"{minute // 60} h", mib(row["written"]), mib(each),
                      mib(row["files"]), mib(row["resident"])])
        before = row
    broken = []
    if measured["open"] != measured["alerts"]:
        broken.append(f"{measured['open']} of {measured['alerts']} incidents are open at the end")
    first, last = rows.get(60), measured["hours"][-1]
    for what, name in (("files", "the files"), ("resident", "the memory")):
        if first and last[what] > MAY_GROW * first[what]:
            broken.append(f"{name} grew from {mib(first[what])} after an hour to {mib(last[what])}, may grow by 5 %")
    return lines, broken


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench resends", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--alerts", type=int, default=10_000, help="that fire (10000)")
    arguments.add_argument("--hours", type=int, default=24, help="to simulate (24)")
    arguments.add_argument("--write", action="store_true", help="write the figures to docs/performance.md")
    options = arguments.parse_args()
    where = run.machine()
    with tempfile.TemporaryDirectory(prefix="fusebox-resends-") as folder:
        measured = run.said(run.BIN / "resend_bench", folder, options.alerts, options.hours)
    lines, broken = table(measured)
    print(report.plain(lines))
    print(f"\n{measured['alerts']:,} alerts, each sent {60 * options.hours:,} times, "
          f"in {measured['took_seconds']:.0f} s")
    if broken:
        print("\nNot as promised:\n" + "\n".join(f"  {line}" for line in broken))
    if options.write:
        title = f"{measured['alerts']:,} alerts that fire, each sent again every minute"
        run.write_page(run.PAGE, where, [(title, lines)], broken, run.RESENDS_BEGIN, run.RESENDS_END)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except report.Wrong as wrong:
        sys.exit(f"bench resends: {wrong}")
