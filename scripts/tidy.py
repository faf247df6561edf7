#!/usr/bin/env python3
"""Runs clang-tidy over the product's .cpp files, and only over those that changed since they were last clean.

A file is clean for good until its own text, any header it reads, its flags or .clang-tidy change; what it reads is
asked of the compiler (-MM), and the fingerprint is kept in build/dev/tidy/.
"""

import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = "core testkit registry incidents transport storage notifications middleware service".split()
TIDY = "clang-tidy-19"


def product_sources(build):
    """The compile commands of the modules' own sources."""
    chosen = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in MODULES:
            chosen[path] = entry
    return chosen


def fingerprint(path, entry):
    """A hash of all that decides what clang-tidy would say, or None when the compiler cannot tell."""
    command = shlex.split(entry["command"])
    compilers = ("c++", "g++", "clang++")
    compiler = next(i for i, word in enumerate(command) if word.rsplit("/", 1)[-1].startswith(compilers))
    flags = [word for word in command[compiler + 1 :] if word not in ("-c", "-MD", str(path))]
    for option in ("-o", "-MT", "-MF"):
        while option in flags:
            at = flags.index(option)
            del flags[at : at + 2]
    listed = subprocess.run(
        [command[compiler], *flags, "-MM", str(path)], cwd=entry["directory"], capture_output=True, text=True
    )
    if listed.returncode:
        return None
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes() + " ".join(flags).encode())
    for name in listed.stdout.replace("\\\n", " ").split()[1:]:
        digest.update((pathlib.Path(entry["directory"]) / name).read_bytes())
    return digest.hexdigest()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", default=str(ROOT / "build/dev"), help="tree with compile_commands.json")
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("filters", nargs="*", help="only files whose path contains one of these")
    options = arguments.parse_args()
    build = pathlib.Path(options.build)
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)

    def check(item):
        path, entry = item
        name = str(path.relative_to(ROOT))
        stamp = stamps / (name.replace("/", "_") + ".clean")
        mark = fingerprint(path, entry)
        if mark and stamp.is_file() and stamp.read_text() == mark:
            return name, True, None
        # The database holds GCC's flags; clang need not know them all.
        command = [TIDY, "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option",
                   "--extra-arg=-Wno-error", str(path)]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if run.returncode == 0 and mark:
            stamp.write_text(mark)
        noise = [line for line in run.stderr.split("\n") if "error:" in line]
        return name, run.returncode == 0, run.stdout + "\n".join(noise)

    items = [
        (path, entry)
        for path, entry in sorted(product_sources(build).items())
        if not options.filters or any(part in str(path) for part in options.filters)
    ]
    bad = checked = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, clean, output in pool.map(check, items):
            if output is not None:
                checked += 1
                print(f"  {name}: {'clean' if clean else 'NOT CLEAN'}", flush=True)
            if not clean:
                bad += 1
                print(output, flush=True)
    print(f"clang-tidy: {len(items)} files, {checked} checked now, {bad} not clean")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
