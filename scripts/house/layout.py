"""How files look.

 1. A header opens with one sentence of purpose and `#pragma once`.
 2. No file of product code has more than 500 lines.
 3. Nothing speaks of the documents that the design was made from.
"""

import re

from house.modules import is_product

MOST_LINES = 500
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


def check(tree):
    for path in tree.files(*TEXTS):
        if path.suffix == ".hpp":
            check_opening(tree, path)
        if is_product(path):
            check_length(tree, path)
        check_lines(tree, path)
