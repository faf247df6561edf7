#!/usr/bin/env python3
"""Breaks the breaker's core in many small ways, one at a time, and sees that some test notices each.

    mutation_check.py [--only REGEX] [--jobs N] [--list]

For each mutant of mutants.py: make it in a copy of the tree (below build/mutation), build, and run core_test, then
model_test, then explore_test, until one of them fails. Fails when a mutant survives, when its text is not in the source
any more, when it does not compile, or when a test fails without any mutant.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from mutants import MUTANTS

ROOT = pathlib.Path(__file__).resolve().parents[3]
WORK = ROOT / "build/mutation"
# What the three tests are made of.
COPIED = ["CMakeLists.txt", "cmake", "core", "testkit",
          "tests/CMakeLists.txt", "tests/support", "tests/unit/core", "tests/proof/model", "tests/proof/explore"]
CONFIGURATION = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O0 -g0",
                 "-DFUSEBOX_ONLY_MODULES=core;testkit", "-DFUSEBOX_BUILD_EXAMPLES=OFF", "-DFUSEBOX_WERROR=OFF"]

# Program, environment, and the seconds after which it hangs. Cheapest first. The model finds most of what it finds at
# all within few sequences.
CHECKS = [
    ("core_test", {}, 120),
    ("model_test", {"FUSEBOX_SEQUENCES": "2000"}, 120),
    ("model_test", {"FUSEBOX_SEQUENCES": "20000"}, 300),
    ("explore_test", {}, 300),
]


class Broken(Exception):
    """What stops the whole check."""


def tracked():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *COPIED]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in sorted(set(output.split("\0"))) if path and (ROOT / path).is_file()]


def write_if_other(path, content):
    """Keeps the time of a file that is right already, so that only what changed is built."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def mutated(mutant, root=ROOT):
    """The files of a mutant: path → text."""
    texts = {}
    for edit in mutant.edits:
        text = texts.get(edit.path) or (root / edit.path).read_text(encoding="utf-8")
        if (found := text.count(edit.old)) != 1:
            raise Broken(f"tests/proof/mutation/mutants.py: '{mutant.name}': its text is {found} times in {edit.path}, "
                         f"must be there once:\n{edit.old}\nThe source has changed: give the mutant its new text.")
        texts[edit.path] = text.replace(edit.old, edit.new)
    return texts


def run(command, timeout, cwd=None, environment=None):
    """Exit code and output; the code is None if it took too long."""
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(environment or {})}, text=True, errors="replace",
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, output


def failed_case(output):
    """The first test case that Catch2 calls failed."""
    name = re.search(r"^-{60,}\n(.+?)\n-{60,}$", output, re.MULTILINE | re.DOTALL)
    if not name:
        return "(it ended before it could say which)"
    text = " ".join(line.strip() for line in name.group(1).split("\n"))
    scenario = re.search(r"^with messages:\n +(.+)$", output, re.MULTILINE)
    return f"{text}: {scenario.group(1)}" if scenario and "explore" in output else text


class Tree:
    """One copy of the sources with its build."""

    def __init__(self, number):
        self.source = WORK / str(number) / "source"
        self.build = WORK / str(number) / "build"

    def prepare(self):
        paths = tracked()
        for path in paths:
            write_if_other(self.source / path, (ROOT / path).read_bytes())
        for stale in [path for path in self.source.rglob("*") if path.is_file()]:
            if str(stale.relative_to(self.source)) not in paths:
                stale.unlink()
        if not (self.build / "build.ninja").is_file():
            shutil.rmtree(self.build, ignore_errors=True)
            code, output = run(["cmake", "-S", self.source, "-B", self.build, *CONFIGURATION], 300)
            if code != 0:
                raise Broken(f"cannot configure {self.build}:\n{output}")

    def compile(self, targets, jobs):
        return run(["ninja", "-C", self.build, f"-j{jobs}", *targets], 1800)

    def first_failure(self, jobs=1):
        """The name of the test that fails, with why; or None. Raises Broken if it does not compile."""
        for program, environment, timeout in CHECKS:
            code, output = self.compile([program], jobs)
            if code != 0:
                raise Broken(f"{program} does not compile:\n{output[-4000:]}")
            code, output = run([self.build / "bin" / program, "--abort"], timeout, self.build, environment)
            if code is None:
                return f"{program}: hangs"
            if code != 0:
                return f"{program}: {failed_case(output)}"
        return None

    def judge(self, mutant):
        texts = mutated(mutant, self.source)
        originals = {path: (self.source / path).read_bytes() for path in texts}
        try:
            for path, text in texts.items():
                write_if_other(self.source / path, text.encode())
            return self.first_failure()
        finally:
            for path, content in originals.items():
                write_if_other(self.source / path, content)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--only", metavar="REGEX", default="", help="only mutants whose name matches")
    arguments.add_argument("--jobs", metavar="N", type=int, default=min(2, os.cpu_count() or 1), help="trees at once")
    arguments.add_argument("--list", action="store_true", help="list the mutants, make none")
    options = arguments.parse_args()
    chosen = [mutant for mutant in MUTANTS if re.search(options.only, mutant.name)]
    if options.list:
        print("\n".join(mutant.name for mutant in chosen))
        return 0
    if not chosen:
        raise Broken(f"no mutant's name matches '{options.only}' (--list shows them)")
    for mutant in MUTANTS:
        mutated(mutant)  # a list that is out of date is refused before anything is built

    began = time.monotonic()
    trees = [Tree(number) for number in range(1, min(options.jobs, len(chosen)) + 1)]
    print("without a mutant …", end=" ", flush=True)
    for tree in trees:  # one after the other: what the first one compiles the others find in the compiler cache
        tree.prepare()
        if failure := tree.first_failure(options.jobs):
            raise Broken(f"a test fails without any mutant: {failure}")
    print(f"all tests pass ({time.monotonic() - began:.0f} s)", flush=True)

    free = list(trees)
    lock = threading.Lock()  # guards `free` and the output
    survivors, broken, done = [], [], 0

    def judge(mutant):
        nonlocal done
        with lock:
            tree = free.pop()
        start = time.monotonic()
        try:
            failure = tree.judge(mutant)
            line = f"killed    {mutant.name}\n{'':21}by {failure}" if failure else f"SURVIVED  {mutant.name}"
            if not failure:
                survivors.append(mutant.name)
        except Broken as error:
            broken.append(mutant.name)
            line = f"BROKEN    {mutant.name}: {error}"
        finally:
            with lock:
                free.append(tree)
        with lock:
            done += 1
            print(f"[{done:2}/{len(chosen)}] {time.monotonic() - start:3.0f} s {line}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
        list(pool.map(judge, chosen))

    for title, names in (("survived: no test notices", survivors), ("broken: not a mutant", broken)):
        for name in names:
            print(f"{title}: {name}")
    killed = len(chosen) - len(survivors) - len(broken)
    print(f"{time.monotonic() - began:.0f} s; mutants killed / made: {killed} / {len(chosen)}")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as error:
        sys.exit(f"mutation check: {error}")
