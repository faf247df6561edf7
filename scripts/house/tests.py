"""What is written is built and run.

 1. Every source and every test is built: the nearest CMakeLists.txt names it.
 2. No test is hidden, skipped, allowed to fail or commented out; no code is kept behind `#if 0`.
"""

import re

from house.modules import ARROWS, module_of

HIDDEN = re.compile(
    r"\bTEST_CASE(?:_METHOD)?\s*\(.*\[(?:\.[^\]]*|!(?:hide|mayfail|shouldfail|throws))\]"
    r"|\b(?:SKIP|CHECK_NOFAIL)\s*\("
)
COMMENTED_TEST = re.compile(r"^\s*//\s*(?:TEST_CASE|SECTION|SCENARIO)\s*\(")
CMAKE_HIDDEN = re.compile(r"\b(?:WILL_FAIL|DISABLED|SKIP_RETURN_CODE|SKIP_REGULAR_EXPRESSION)\b")
PYTHON_HIDDEN = re.compile(r"@unittest\.(skip|expectedFailure)|\bskipTest\(|pytest\.mark\.(skip|xfail)")
HIDDEN_TEST = "no test is hidden, skipped or allowed to fail"


def check_built(tree, path):
    """The nearest CMakeLists.txt upwards must name the file, or collect it with a glob."""
    folder = path.parent
    while folder.parts:
        cmake = tree.root / folder / "CMakeLists.txt"
        if cmake.is_file():
            text = re.sub(r"#.*", "", cmake.read_text(encoding="utf-8"))
            relative = path.relative_to(folder)
            globbed = any(relative.match(pattern) for pattern in re.findall(r"[\w/]*\*[\w.*/]*", text))
            if str(relative) not in text and not globbed:
                tree.problem(path, 1, f"no target in {folder}/CMakeLists.txt builds this file")
            return
        folder = folder.parent


def check(tree):
    for path in tree.files(".cpp", ".hpp", ".h", ".cc"):
        for number, line in enumerate(tree.lines(path), 1):
            if re.match(r"^\s*#\s*if\s+0\b", line):
                tree.problem(path, number, "no code is kept behind #if 0")
            if HIDDEN.search(line):
                tree.problem(path, number, HIDDEN_TEST)
            if COMMENTED_TEST.match(line):
                tree.problem(path, number, "no test is commented out")
        if path.suffix == ".cpp" and (module_of(path)[0] in ARROWS or path.parts[0] in ("tests", "examples")):
            check_built(tree, path)
    for path in tree.files("CMakeLists.txt", ".py"):
        if path.parts[0] != "tests":
            continue
        hidden = PYTHON_HIDDEN if path.suffix == ".py" else CMAKE_HIDDEN
        for number, line in enumerate(tree.lines(path), 1):
            if hidden.search(line if path.suffix == ".py" else line.split("#")[0]):
                tree.problem(path, number, HIDDEN_TEST)
