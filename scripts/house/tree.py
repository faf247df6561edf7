"""The files of the repository, read once, and the problems that were found in them."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Texts that nobody of this project wrote: what fuzzing begins with, and the licence.
NOT_OURS = ("tests/proof/fuzz/corpus/", "LICENSE", "tests/package-lock.json")


class Tree:
    """What git tracks, and what it would track. A path is a `PurePosixPath` relative to the root."""

    def __init__(self, root=ROOT):
        self.root = root
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\n")
        self.paths = [pathlib.PurePosixPath(name) for name in sorted(set(listed)) if name and (root / name).is_file()]
        self.problems = []
        self._lines = {}

    def problem(self, path, line, text):
        self.problems.append(f"{path}:{line}: {text}")

    def files(self, *endings):
        """The paths of our own files whose name ends in one of these."""
        return [path for path in self.paths if path.name.endswith(endings) and not str(path).startswith(NOT_OURS)]

    def lines(self, path):
        if path not in self._lines:
            self._lines[path] = (self.root / path).read_text(encoding="utf-8").split("\n")
        return self._lines[path]
