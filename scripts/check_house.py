#!/usr/bin/env python3
"""Checks the rules of the house that no compiler checks. Prints FILE:LINE: RULE and exits 1 when one is broken.

 1. Arrows go down only: a module includes only the modules below it (docs/architecture.md).
 2. Third-party headers stay out of public headers; core and testkit need nothing but the standard library.
 3. Every source and every test is built: its name stands in its CMakeLists.txt.
 4. No test is hidden, allowed to fail or commented out; no code is kept behind `#if 0`.
 5. A header opens with one sentence of purpose and `#pragma once`.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Who may include whom. Siblings never include each other.
ARROWS = {
    "text": set(),
    "core": {"text"},
    "policies": {"text", "core"},
    "incidents": {"text"},
    "registry": {"text", "core", "policies"},
    "transport": {"text", "core", "policies"},
    "storage": {"text", "core", "policies", "registry", "incidents"},
    "integrations": {"text", "core", "policies", "registry", "transport", "incidents"},
    "notifications": {"text", "core", "policies", "registry", "transport", "incidents"},
    "middleware": {"text", "core", "policies", "registry", "transport"},
}
ARROWS["service"] = set(ARROWS) | {"service"}
ARROWS["testkit"] = {"text", "core", "policies"}  # after all others: it is for tests, and no module depends on it

# The server library is what middleware is a layer of, so its types are part of that interface.
THIRD_PARTY_IN_PUBLIC = {"middleware": {"httplib.h"}}
STANDARD_LIBRARY_ONLY = {"text", "core", "policies", "testkit"}
# core is three modules, on a shelf each; the others are a folder at the top.
SHELVES = {"core/text": "text", "core/breaker": "core", "core/policies": "policies"}

# System and compiler headers that are not third-party.
SYSTEM = re.compile(
    r"^(sys|arpa|netinet|net|linux)/\w+\.h$"
    r"|^(unistd|fcntl|pthread|sched|poll|signal|time|errno|netdb|dlfcn|syslog|strings|immintrin|x86intrin|cpuid|cxxabi)\.h$"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
HIDDEN = re.compile(
    r"\bTEST_CASE(?:_METHOD)?\s*\(.*\[(?:\.[^\]]*|!(?:hide|mayfail|shouldfail|throws))\]"
    r"|\b(?:SKIP|CHECK_NOFAIL)\s*\("
)
COMMENTED_TEST = re.compile(r"^\s*//\s*(?:TEST_CASE|SECTION|SCENARIO)\s*\(")
CMAKE_HIDDEN = re.compile(r"\b(?:WILL_FAIL|DISABLED|SKIP_RETURN_CODE|SKIP_REGULAR_EXPRESSION)\b")

problems = []


def problem(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def tracked(*patterns):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return [pathlib.PurePosixPath(name) for name in sorted(set(names)) if name and (ROOT / name).is_file()]


def module_of(path):
    """The module that a file belongs to, and the file's path inside the module."""
    for shelf, module in SHELVES.items():
        if path.is_relative_to(shelf):
            return module, path.relative_to(shelf)
    return path.parts[0], path.relative_to(path.parts[0])


def check_includes(path, number, quote, name):
    module, inner = module_of(path)
    public = inner.parts[:1] == ("include",)
    inside = re.match(r"fusebox/(\w+)/", name)
    if inside:
        target = inside.group(1)
        if target != module and target not in ARROWS[module]:
            problem(path, number, f"{module} must not include {target} (arrows go down only)")
        if quote == '"' and public:
            problem(path, number, "a public header includes fusebox headers with <>")
        return
    if quote == '"':
        if public:
            problem(path, number, "a public header includes only <…>: a private header would not be installed")
        elif ".." in name.split("/"):
            problem(path, number, "no way out of the module's own folder: include its public header")
        return
    third_party = "." in name and not SYSTEM.match(name)
    if not third_party:
        return
    if module in STANDARD_LIBRARY_ONLY:
        problem(path, number, f"{module} needs nothing but the standard library, not {name}")
    elif public and name not in THIRD_PARTY_IN_PUBLIC.get(module, set()):
        problem(path, number, f"third-party header {name} in a public header")


def check_opening(path, lines):
    if not lines or not lines[0].startswith("//"):
        problem(path, 1, "a header opens with one sentence of purpose")
    code = next((line for line in lines if line.strip() and not line.lstrip().startswith("//")), "")
    if code.strip() != "#pragma once":
        problem(path, 1, "a header begins with #pragma once")


def check_built(path):
    """The nearest CMakeLists.txt upwards must name the file, or collect it with a glob."""
    folder = path.parent
    while folder.parts:
        cmake = ROOT / folder / "CMakeLists.txt"
        if cmake.is_file():
            text = re.sub(r"#.*", "", cmake.read_text())
            relative = path.relative_to(folder)
            globbed = any(relative.match(pattern) for pattern in re.findall(r"[\w/]*\*[\w.*/]*", text))
            if str(relative) not in text and not globbed:
                problem(path, 1, f"no target in {folder}/CMakeLists.txt builds this file")
            return
        folder = folder.parent


def main():
    for path in tracked("*.cpp", "*.hpp", "*.h", "*.cc"):
        lines = (ROOT / path).read_text(encoding="utf-8").split("\n")
        in_module = module_of(path)[0] in ARROWS
        for number, line in enumerate(lines, 1):
            if re.match(r"^\s*#\s*if\s+0\b", line):
                problem(path, number, "no code is kept behind #if 0")
            if HIDDEN.search(line):
                problem(path, number, "no test is hidden, skipped or allowed to fail")
            if COMMENTED_TEST.match(line):
                problem(path, number, "no test is commented out")
            include = INCLUDE.match(line)
            if include and in_module:
                check_includes(path, number, *include.groups())
        if path.suffix == ".hpp":
            check_opening(path, lines)
        if path.suffix == ".cpp" and (in_module or path.parts[0] in ("tests", "examples")):
            check_built(path)
    for path in tracked("tests/*CMakeLists.txt", "tests/**/CMakeLists.txt"):
        for number, line in enumerate((ROOT / path).read_text().split("\n"), 1):
            if CMAKE_HIDDEN.search(line.split("#")[0]):
                problem(path, number, "no test is hidden, skipped or allowed to fail")
    for path in tracked("tests/*.py", "tests/**/*.py"):
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").split("\n"), 1):
            if re.search(r"@unittest\.(skip|expectedFailure)|\bskipTest\(|pytest\.mark\.(skip|xfail)", line):
                problem(path, number, "no test is hidden, skipped or allowed to fail")
    for text in problems:
        print(text)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
