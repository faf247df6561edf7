#!/usr/bin/env python3
"""How many alerts a second incidentd takes, beside Alertmanager. `./dev bench ingest` builds incidentd and calls this.

Both servers run in turn on this machine, each with an empty store and nothing to notify but what comes with it
(incidentd: the destination `log`; Alertmanager: a receiver that tells nobody), and get the same requests from the same
client. Alertmanager keeps alerts in memory; incidentd answers after each alert is committed with full sync."""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import peers
import report
import run

CONNECTIONS = 64
LOADS = [("new alerts, one by one", 1, "new", 0.5), ("new alerts, requests of 64", 64, "new", 1.0),
         ("repeats, one by one", 1, "repeat", 1.0), ("repeats, requests of 64", 64, "repeat", 1.0)]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def alertmanager():
    port = peers.free_port()
    with tempfile.TemporaryDirectory(prefix="fusebox-alertmanager-") as folder:
        config = pathlib.Path(folder) / "alertmanager.yml"
        config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n", encoding="utf-8")
        command = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder}/data",
                   f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error"]
        url = f"http://127.0.0.1:{port}"
        with peers.running("prometheus-alertmanager", command, lambda: answers(f"{url}/-/ready"), on_last_core=False,
                           stdout=subprocess.DEVNULL) as process:
            yield process, url


@contextlib.contextmanager
def incidentd():
    port = peers.free_port()
    with tempfile.TemporaryDirectory(prefix="fusebox-incidentd-") as folder:
        url = f"http://127.0.0.1:{port}"
        with peers.running("incidentd", [run.BIN / "incidentd", "--listen", f"127.0.0.1:{port}"],
                           lambda: answers(f"{url}/readyz"), on_last_core=False, stdout=subprocess.DEVNULL,
                           cwd=folder) as process:
            yield process, url


def written(pid):
    """Bytes that the process has had written to disk."""
    return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M).group(1))


def resident(pid):
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


def load(url, per_request, kind, word, seconds):
    """What wrk saw. Each request was answered, and with 200, or this fails."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s",
               str(run.ROOT / "bench/ingest.lua"), f"{url}/api/v2/alerts", "--", str(per_request), kind, word]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise report.Wrong(f"wrk failed:\n{done.stdout}{done.stderr}")
    seen = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
    if seen["refused"]:
        raise report.Wrong(f"{seen['refused']} of {seen['requests']} requests were refused")
    if seen["broken"]:
        raise report.Wrong(f"{seen['broken']} of {seen['requests']} requests got no answer")
    return seen


def notify_all(url, limit=60):
    """Waits until incidentd has sent what the alerts so far gave to send; Alertmanager has nothing to send here."""
    waiting = re.compile(r'^\w+_notifications{.*state="(?:pending|leased)"} (\d+)', re.M)
    for _ in range(limit * 10):
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as response:
            if not any(int(count) for count in waiting.findall(response.read().decode())):
                return
        time.sleep(0.1)
    raise report.Wrong(f"notifications still wait after {limit} s")


def measure(server, seconds, number):
    """Title of a load → what came of it. Each load meets a server of its own, so that none is measured beside what the
    one before left to do."""
    found = {"memory": 0}
    for title, per_request, kind, _ in LOADS:
        word = f"{kind}-{per_request}"
        with server() as (process, url):
            if kind == "repeat":
                load(url, per_request, kind, word, 1)  # now all of them are known
                notify_all(url)
            before = written(process.pid)
            seen = load(url, per_request, kind, word, seconds)
            alerts = seen["requests"] * per_request
            found[title] = {"rate": alerts / seen["seconds"], "p50": seen["p50_us"], "p99": seen["p99_us"],
                            "written": (written(process.pid) - before) / alerts}
            found["memory"] = max(found["memory"], resident(process.pid))
        print(f"round {number}, {server.__name__}, {title}: {found[title]['rate']:,.0f} a second", file=sys.stderr,
              flush=True)
    return found


def middle(rounds, server, title, what):
    return statistics.median(measured[server][title][what] for measured in rounds)


def table(rounds):
    """The lines of the table, and what is not as promised: the median of the rounds' ratios."""
    lines = [["alerts a second", "incidentd", "Alertmanager", "ratio", "must", "p50, p99 of a request: incidentd",
              "Alertmanager", "written an alert: incidentd", "Alertmanager"]]
    broken = []
    for title, _, _, least in LOADS:
        ratio = statistics.median(measured["incidentd"][title]["rate"] / measured["alertmanager"][title]["rate"]
                                  for measured in rounds)
        kept = ratio >= least
        if not kept:
            broken.append(f"{title}: {ratio:.2f} of Alertmanager's, must be ≥ {least:.2f}")
        line = [title] + [f"{middle(rounds, server, title, 'rate'):,.0f}" for server in ("incidentd", "alertmanager")]
        line += [f"{ratio:.2f}", f"≥ {least:.2f}: {'yes' if kept else 'NO'}"]
        line += [", ".join(report.duration(1000 * middle(rounds, server, title, what)) for what in ("p50", "p99"))
                 for server in ("incidentd", "alertmanager")]
        line += [f"{middle(rounds, server, title, 'written'):,.0f} bytes" for server in ("incidentd", "alertmanager")]
        lines.append(line)
    memory = [f"{statistics.median(measured[server]['memory'] for measured in rounds) / 2**20:,.0f} MiB"
              for server in ("incidentd", "alertmanager")]
    lines.append(["most memory in use", *memory, "", "", "", "", "", ""])
    return lines, broken


def main():
    arguments = argparse.ArgumentParser(prog="./dev bench ingest", description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5, help="of both servers in turn (5)")
    arguments.add_argument("--seconds", type=int, default=4, help="of each load (4)")
    arguments.add_argument("--write", action="store_true", help="write the figures to docs/performance.md")
    options = arguments.parse_args()
    if os.getloadavg()[0] > 0.5:
        print(f"The machine is busy (load average {os.getloadavg()[0]:.1f}): figures will be too low.", file=sys.stderr)
    where = run.machine()
    rounds = []
    for number in range(1, options.rounds + 1):
        # Whoever comes second finds the machine as the first one left it: they take turns at that too.
        servers = (incidentd, alertmanager) if number % 2 else (alertmanager, incidentd)
        rounds.append({server.__name__: measure(server, options.seconds, number) for server in servers})
        time.sleep(1)
    lines, broken = table(rounds)
    print(report.plain(lines))
    if broken:
        print("\nNot as promised:\n" + "\n".join(f"  {line}" for line in broken))
    if options.write:
        run.write_page(run.PAGE, where, [("Intake", lines)], broken, run.INTAKE_BEGIN, run.INTAKE_END)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (report.Wrong, peers.NotStarted) as wrong:
        sys.exit(f"bench ingest: {wrong}")
