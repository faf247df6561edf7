#!/usr/bin/env python3
"""Checks the rules of the house that no compiler checks. Prints FILE:LINE: RULE and exits 1 when one is broken.

Each file of scripts/house/ holds one kind of rule and says at its head what it asks:
    arrows.py   who may include whom, and what a public header may include
    tests.py    no test is hidden, and every source is built
    layout.py   a header's opening, the length of lines and of files
    signs.py    every path and every identifier in backticks exists
"""

import sys

from house import arrows, layout, signs, tests
from house.tree import Tree


def problems(tree):
    for rules in (arrows, tests, layout, signs):
        rules.check(tree)
    return tree.problems


def main():
    found = problems(Tree())
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
