"""A header opens with one sentence of purpose and `#pragma once`."""


def check_opening(tree, path):
    lines = tree.lines(path)
    if not lines[0].startswith("//"):
        tree.problem(path, 1, "a header opens with one sentence of purpose")
    code = next((line for line in lines if line.strip() and not line.lstrip().startswith("//")), "")
    if code.strip() != "#pragma once":
        tree.problem(path, 1, "a header begins with #pragma once")


def check(tree):
    for path in tree.files(".hpp"):
        check_opening(tree, path)
