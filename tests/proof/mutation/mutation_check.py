#!/usr/bin/env python3
"""Breaks the product in many small ways, one at a time, and sees that some test notices each.

    mutation_check.py [core | rooms] [--only REGEX] [--jobs N] [--list]

For each mutant: make it in a copy of the tree (below build/mutation), build, and run the tests that could notice it,
until one of them fails. The mutants of core are in mutants.py, those of the other rooms in room_mutants.py; without a
word both are made. Fails when a mutant survives, when its text is not in the source any more, when it does not compile,
or when a test fails without any mutant.
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
from collections.abc import Callable
from typing import NamedTuple

from mutants import MUTANTS as CORE_MUTANTS
from room_mutants import MUTANTS as ROOM_MUTANTS

ROOT = pathlib.Path(__file__).resolve().parents[3]
WORK = ROOT / "build/mutation"
CONFIGURATION = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O0 -g0",
                 "-DFUSEBOX_BUILD_EXAMPLES=OFF", "-DFUSEBOX_WERROR=OFF"]


class Check(NamedTuple):
    """A test: the targets that it needs, its command (run in the tree's build), and the seconds after which it hangs.
    {source} and {build} in command and environment stand for the tree's folders."""
    name: str
    targets: tuple[str, ...]
    command: tuple[str, ...]
    seconds: int
    environment: dict[str, str] = {}


def unit(program, seconds=120, **environment):
    return Check(program, (program,), (f"bin/{program}", "--abort"), seconds, environment)


def end_to_end(name, seconds=180):
    program = "{source}/tests/whole/e2e/" + name + ".py"
    return Check(name, ("incidentd", "fusebox"), (sys.executable, program, "--failfast"), seconds,
                 {"FUSEBOX_SOURCE_DIR": "{source}", "FUSEBOX_BIN_DIR": "{build}/bin",
                  "PYTHONPATH": "{source}/tests/support"})


class Suite(NamedTuple):
    """Mutants that share a copy of the tree."""
    name: str
    mutants: list
    copied: list[str]  # what the tests are made of
    configuration: list[str]
    checks: Callable  # of a mutant: the tests that could notice it, the cheapest first


# The model finds most of what it finds at all within few sequences.
CORE_CHECKS = [unit("core_test"), unit("model_test", FUSEBOX_SEQUENCES="2000"),
               unit("model_test", 300, FUSEBOX_SEQUENCES="20000"), unit("explore_test", 300)]
CORE = Suite("core", CORE_MUTANTS,
             ["CMakeLists.txt", "cmake", "core", "testkit", "tests/CMakeLists.txt", "tests/support", "tests/unit/core",
              "tests/proof/model", "tests/proof/explore"],
             ["-DFUSEBOX_ONLY_MODULES=core;testkit"], lambda mutant: CORE_CHECKS)

# A mistake in a room is noticed by the room's own tests, or by a test of the service as a whole.
SERVICE_TEST = unit("service_test", FUSEBOX_SOURCE_DIR="{source}")
ROOM_CHECKS = {
    "incidents": [unit("incidents_test"), unit("storage_test"), SERVICE_TEST],
    "transport": [unit("transport_test")],
    "storage": [unit("storage_test"), SERVICE_TEST],
    "notifications": [unit("notifications_test"), SERVICE_TEST],
    "middleware": [unit("middleware_test"), SERVICE_TEST],
    "service": [SERVICE_TEST],
}
WHOLE_CHECKS = [end_to_end(f"{name}_e2e_test") for name in ("api", "operations", "bad_input", "kill")]
ROOMS = Suite("rooms", ROOM_MUTANTS,
              ["."], [],
              lambda mutant: ROOM_CHECKS[mutant.edits[0].path.split("/")[0]] + WHOLE_CHECKS)


class Broken(Exception):
    """What stops the whole check."""


def tracked(copied):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *copied]
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
            raise Broken(f"tests/proof/mutation: '{mutant.name}': its text is {found} times in {edit.path}, "
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
    """The first test case that Catch2 or unittest calls failed."""
    if python := re.search(r"^(?:FAIL|ERROR): (\S+)", output, re.MULTILINE):
        return python.group(1)
    name = re.search(r"^-{60,}\n(.+?)\n-{60,}$", output, re.MULTILINE | re.DOTALL)
    if not name:
        return "(it ended before it could say which)"
    text = " ".join(line.strip() for line in name.group(1).split("\n"))
    scenario = re.search(r"^with messages:\n +(.+)$", output, re.MULTILINE)
    return f"{text}: {scenario.group(1)}" if scenario and "explore" in output else text


class Tree:
    """One copy of the sources with its build."""

    def __init__(self, suite, number):
        self.suite = suite
        self.source = WORK / suite.name / str(number) / "source"
        self.build = WORK / suite.name / str(number) / "build"

    def prepare(self):
        paths = tracked(self.suite.copied)
        for path in paths:
            write_if_other(self.source / path, (ROOT / path).read_bytes())
        for stale in [path for path in self.source.rglob("*") if path.is_file()]:
            if str(stale.relative_to(self.source)) not in paths:
                stale.unlink()
        if not (self.build / "build.ninja").is_file():
            shutil.rmtree(self.build, ignore_errors=True)
            code, output = run(["cmake", "-S", self.source, "-B", self.build, *CONFIGURATION,
                                *self.suite.configuration], 300)
            if code != 0:
                raise Broken(f"cannot configure {self.build}:\n{output}")

    def compile(self, targets, jobs):
        return run(["ninja", "-C", self.build, f"-j{jobs}", *targets], 1800)

    def placed(self, word):
        return word.replace("{source}", str(self.source)).replace("{build}", str(self.build))

    def first_failure(self, checks, jobs=1):
        """The name of the check that fails, with why; or None. Raises Broken if it does not compile."""
        for check in checks:
            code, output = self.compile(check.targets, jobs)
            if code != 0:
                raise Broken(f"{' '.join(check.targets)} does not compile:\n{output[-4000:]}")
            command = [self.placed(word) for word in check.command]
            environment = {name: self.placed(value) for name, value in check.environment.items()}
            code, output = run(command, check.seconds, self.build, environment)
            if code is None:
                return f"{check.name}: hangs"
            if code != 0:
                return f"{check.name}: {failed_case(output)}"
        return None

    def judge(self, mutant):
        texts = mutated(mutant, self.source)
        originals = {path: (self.source / path).read_bytes() for path in texts}
        try:
            for path, text in texts.items():
                write_if_other(self.source / path, text.encode())
            return self.first_failure(self.suite.checks(mutant))
        finally:
            for path, content in originals.items():
                write_if_other(self.source / path, content)


def check(suite, chosen, jobs):
    """True: each mutant was killed."""
    began = time.monotonic()
    trees = [Tree(suite, number) for number in range(1, min(jobs, len(chosen)) + 1)]
    needed = {check.name + str(check.environment): check for mutant in chosen for check in suite.checks(mutant)}
    print(f"{suite.name}, without a mutant …", end=" ", flush=True)
    for tree in trees:  # one after the other: what the first one compiles the others find in the compiler cache
        tree.prepare()
        if failure := tree.first_failure(needed.values(), jobs):
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
    print(f"{suite.name}: {time.monotonic() - began:.0f} s; mutants killed / made: {killed} / {len(chosen)}",
          flush=True)
    return killed == len(chosen)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("suite", nargs="?", choices=["core", "rooms"], help="only these mutants")
    arguments.add_argument("--only", metavar="REGEX", default="", help="only mutants whose name matches")
    arguments.add_argument("--jobs", metavar="N", type=int, default=min(2, os.cpu_count() or 1), help="trees at once")
    arguments.add_argument("--list", action="store_true", help="list the mutants, make none")
    options = arguments.parse_args()
    chosen = [(suite, [mutant for mutant in suite.mutants if re.search(options.only, mutant.name)])
              for suite in (CORE, ROOMS) if options.suite in (None, suite.name)]
    if options.list:
        print("\n".join(mutant.name for _, mutants in chosen for mutant in mutants))
        return 0
    if not any(mutants for _, mutants in chosen):
        raise Broken(f"no mutant's name matches '{options.only}' (--list shows them)")
    for suite, _ in chosen:
        for mutant in suite.mutants:
            mutated(mutant)  # a list that is out of date is refused before anything is built
    killed = [check(suite, mutants, options.jobs) for suite, mutants in chosen if mutants]
    return 0 if all(killed) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as error:
        sys.exit(f"mutation check: {error}")
