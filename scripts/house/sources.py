"""What the sources of the repository say with their comments left out: the words and paths that a sign may name."""

import fnmatch
import re

from house.comments import part

FOREIGN = "scripts/foreign_names.txt"
# The test of these rules has names that exist nowhere.
NO_SOURCE = (FOREIGN, "tests/whole/house/check_house_test.py")
CODE = (".cpp", ".hpp", ".h", ".cc", ".py", ".cmake", ".txt", ".js", ".sh", "dev", ".ci/run", ".in")
DATA = (".json", ".yaml", ".yml", ".toml", ".clang-tidy", ".clang-format", ".expected", ".supp", ".gitignore")
WORD = re.compile(r"(?<!\w)[A-Za-z_]\w*")


class Sources:
    """`words` are those of all sources, `words_of` those of each; `text` is all of it; `comments` are (path, line,
    block).

    `ends` are all paths of files and folders, and what is left of each when folders are taken off its beginning.
    """

    def __init__(self, tree):
        self.words, self.words_of, self.text, self.comments = set(), [], [], []
        self.root = tree.root
        for path in tree.files(*CODE, *DATA):
            if str(path) in NO_SOURCE:
                continue
            text = "\n".join(tree.lines(path))
            code = text
            if path.name.endswith(CODE) or str(path) in CODE:
                code, blocks = part(path.name, text)
                self.comments += [(path, line, comment) for line, comment in blocks]
            words = set(WORD.findall(code))
            self.words |= words
            self.words_of.append(words)
            self.text.append(code)
        self.text = "\n".join(self.text)
        self.files = {str(path) for path in tree.paths}
        self.folders = {str(folder) for path in tree.paths for folder in path.parents}
        self.ends = set()
        for name in self.files | self.folders:
            parts = name.split("/")
            self.ends |= {"/".join(parts[at:]) for at in range(len(parts))}
        self.words |= {word for name in self.files for word in WORD.findall(name)}

    def has_path(self, path, page):
        path = path.rstrip("/")
        beside = str((page.parent / path)) if not path.startswith("..") else ""
        if path in self.ends or beside in self.ends or path in (".", ""):
            return True
        if path.startswith(".."):
            return (self.root / page.parent / path).exists()
        if re.search(r"[*]|\b[A-Z_]+\b", path):
            pattern = re.sub(r"\b[A-Z_]{2,}\b", "*", path)
            return any(fnmatch.fnmatchcase(end, pattern) for end in self.ends)
        return False

    def has_word(self, word):
        return word in self.words

    def has_part_of_word(self, part, begins):
        return any(word.startswith(part) if begins else word.endswith(part) for word in self.words)

    def together(self, words):
        return any(words <= of_one for of_one in self.words_of)
