"""How files look.

 1. A header opens with one sentence of purpose and `#pragma once`.
 2. No file of product code has more than 500 lines.
 3. Nothing speaks of the documents that the design was made from.
 4. A line has at most 120 characters. A row of a table in Markdown and a link that is too long by itself have the
    length that they need, and so do the texts that the mutants replace.
"""

import re
from pathlib import PurePosixPath

from house.modules import is_product

MOST_LINES = 500
MOST_CHARACTERS = 120
INDENT = 4  # what a link in a comment or a list stands behind
WIDE = (".cpp", ".hpp", ".py", ".md", ".cmake", "CMakeLists.txt", "dev", "run")
MUTANTS = PurePosixPath("tests/proof/mutation/mutants.py")  # names lines of the sources, each with its indentation
TEXTS = (".cpp", ".hpp", ".h", ".cc", ".py", ".md", ".cmake", "CMakeLists.txt", ".js", "dev", "run")
HISTORY = re.compile(r"\bseed 0\d\d\b|\bseeds'(?= own)|\b(?:the|of|five) seeds (?:say|call|name|disagree|mean)", re.I)


def check_opening(tree, path):
    lines = tree.lines(path)
    if not lines[0].startswith("//"):
        tree.problem(path, 1, "a header opens with one sentence of purpose")
    code = next((line for line in lines if line.strip() and not line.lstrip().startswith("//")), "")
    if code.strip() != "#pragma once":
        tree.problem(path, 1, "a header begins with #pragma once")


def check_length(tree, path):
    lines = len(tree.lines(path)) - 1  # the file ends with a line's end
    if lines > MOST_LINES:
        tree.problem(path, lines, f"{lines} lines of product code in one file, at most {MOST_LINES}: one idea per file")


def check_lines(tree, path):
    for number, line in enumerate(tree.lines(path), 1):
        if HISTORY.search(line):
            tree.problem(path, number, "say what is so, not which document it came from")


def needs_its_length(path, line):
    if path.suffix == ".md" and line.startswith("|"):
        return True
    link = max((word for word in line.split() if "://" in word), key=len, default="")
    return len(link) + INDENT > MOST_CHARACTERS


def check_width(tree, path):
    for number, line in enumerate(tree.lines(path), 1):
        if len(line) > MOST_CHARACTERS and not needs_its_length(path, line):
            tree.problem(path, number, f"a line of {len(line)} characters, at most {MOST_CHARACTERS}")


def check(tree):
    for path in tree.files(*TEXTS):
        if path.suffix == ".hpp":
            check_opening(tree, path)
        if is_product(path):
            check_length(tree, path)
        check_lines(tree, path)
    for path in tree.files(*WIDE):
        if path != MUTANTS:
            check_width(tree, path)
