"""No false sign: what stands in backticks exists.

Looked at is each `…` in the pages (*.md but CHANGELOG.md and docs/roadmap.md) and in the comments of C++, Python,
CMake and bash, and what can only be a name or a path without backticks too: a file, a folder of a room, a word with
`::`, an underscore or a hump within. Code that is shown is left out: blocks of a page, indented lines of a comment. Of
the parts of a sign, which spaces separate,

 1. a path (with a `/`, or with the ending of a file) is a tracked file or folder, as seen from the page's folder, from
    the root, or below any folder; a name in capitals stands for any; what is below `build/` ends in a name that the
    sources have;
 2. every word of anything else occurs in a source as a whole word, outside of comments; `A::b` has its two words in
    one source. A word in capitals without an underscore stands for whatever the user puts there. A word that has `…`,
    `*`, capitals like these or nothing before its first or after its last underscore is a part of such a word;
 3. names from elsewhere stand in scripts/foreign_names.txt, each with where it is from, as long as a sign uses them.
    What is qualified with a foreign namespace is from elsewhere too.
"""

import re

from house.sources import FOREIGN, WORD, Sources

PAGES_NOT_HELD = ("CHANGELOG.md", "docs/roadmap.md")
NAMESPACES = "std|asio|boost|prometheus|nlohmann|httplib|Catch|rc|pqxx|toml|benchmark"
FOREIGN_NAMESPACES = re.compile(rf"\b(?:{NAMESPACES})::[\w:]+")

ENDING = re.compile(r"\.(?:cpp|hpp|h|py|md|txt|cmake|toml|yaml|yml|json|js|sh|expected|supp|in)$")
PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9]*")
BARE_NAME = r"[A-Za-z_]\w*(?:::~?[A-Za-z_]\w*)+|[a-z]\w*_[a-z0-9_]*[a-z0-9]\b|\b[A-Z][a-z]+[A-Z]\w*"
BARE_FILE = r"(?:[\w-]+/)*[\w-]+\.(?:md|hpp|cpp|py|cmake|js)\b(?![\w`/-]|\.\w)"
SPAN = re.compile(r"(?<!`)(``?)(?!`)((?:(?!\n[ \t]*\n).)+?)(?<!`)\1(?!`)", re.S)
SHOWN = re.compile(r"^ {4,}.*$", re.M)  # in a comment: code that is shown
LINK = re.compile(r"\]\([^)]*\)|https?://\S+")  # docs_test follows the links
FENCE = re.compile(r"^[ \t]*(```+)(?P<language>\w*)[^\n]*\n.*?^[ \t]*\1[ \t]*$", re.M | re.S)


class Signs:
    def __init__(self, tree):
        self.tree, self.sources = tree, Sources(tree)
        self.foreign, self.used = {}, set()
        rooms = "|".join(sorted({path.parts[0] for path in tree.paths if len(path.parts) > 1}))
        self.bare = re.compile(rf"(?<![\w`/.<:${{@-])(?:{BARE_FILE}|(?:{rooms})/[\w./*-]*\w|{BARE_NAME})(?!\w|://)")
        if (tree.root / FOREIGN).is_file():
            for number, line in enumerate((tree.root / FOREIGN).read_text(encoding="utf-8").split("\n"), 1):
                fields = line.split(None, 1)
                if not fields or line.startswith("#"):
                    continue
                if len(fields) == 1:
                    tree.problem(FOREIGN, number, f"`{fields[0]}`: say where it is from")
                self.foreign[fields[0]] = number

    def is_foreign(self, name):
        if name in self.foreign:
            self.used.add(name)
            return True
        return False

    def unknown_in(self, sign, page, here):
        """The first part of a sign that names nothing, with what it is taken for; or nothing."""
        if self.is_foreign(sign):
            return None
        for token in FOREIGN_NAMESPACES.sub(" ", sign).split():
            token = token.strip("\"'(),;{}[]") if "/" in token else token
            if not token or "://" in token or self.is_foreign(token):
                continue
            include = re.fullmatch(r"<([\w./…]+)>", token)
            if include and "/" not in token:
                continue  # a header of the system's
            name = include.group(1) if include else token
            looks_like_path = re.fullmatch(r"[\w.*…+-]*(?:/[\w.*…+-]*)+", name) or (
                ENDING.search(name) and re.fullmatch(r"[\w.*-]+", name))
            if looks_like_path and not name.startswith("/"):
                unknown = self.unknown_path(name.removeprefix("./"), page)
                if unknown is None:
                    continue
                # Not every slash makes a path: names of benchmarks, media types and the like are texts of a source.
                literal = re.sub(r"[A-Z]{2,}$", "", name).strip("…*")
                if not ENDING.search(name) and not name.endswith("/") and literal in self.sources.text:
                    continue
                if "/" in name or name not in self.sources.text:
                    return unknown, "path"
                continue
            unknown = self.unknown_word(token, here)
            if unknown:
                return unknown, "name in the sources"
        return None

    def unknown_path(self, path, page):
        if ENDING.fullmatch(path):
            return None  # an ending alone
        if path.startswith("build/"):
            last = path.rstrip("/").rsplit("/", 1)[-1]
            return None if all(map(self.sources.has_word, WORD.findall(last))) else path
        if "…" in path:
            path = path.replace("…", "*")
        return None if self.sources.has_path(path, page) else path

    def knows_word(self, word):
        """Whether a word, or the word that a part of it is the beginning or the end of, is in the sources."""
        if len(word) == 1 or PLACEHOLDER.fullmatch(word) or self.sources.has_word(word) or self.is_foreign(word):
            return True
        begins, ends = re.fullmatch(r"(\w*[a-z]_)(?:[A-Z]*)", word), re.fullmatch(r"(?:[A-Z]*)(_[a-z]\w*)", word)
        return bool(begins and self.sources.has_part_of_word(begins.group(1), True)) or bool(
            ends and self.sources.has_part_of_word(ends.group(1), False))

    def unknown_word(self, token, here):
        token = re.sub(r"^-D(?=[A-Z])", "", token)  # an option of CMake's
        for match in WORD.finditer(token):
            word = match.group()
            if word in here or self.knows_word(word):
                continue
            if token[match.end() : match.end() + 1] in ("…", "*") and self.sources.has_part_of_word(word, True):
                continue
            if token[match.start() - 1 : match.start()] in ("…", "*") and self.sources.has_part_of_word(word, False):
                continue
            return word
        for qualified in re.findall(r"\b(?:[A-Za-z_]\w*::)+[A-Za-z_]\w*", token):
            words = {word for word in qualified.split("::") if not PLACEHOLDER.fullmatch(word)}
            if not words <= here and not any(map(self.is_foreign, words)) and not self.sources.together(words):
                return qualified
        return None

    def report(self, page, line, what, kind, name):
        advice = f"mend the sign, or add {name} to {FOREIGN} with its origin"
        self.tree.problem(page, line, f"{what}: no such {kind}; {advice}")

    def check_text(self, page, first_line, text, here=frozenset()):
        blank = lambda match: re.sub(r"[^\n]", "`", match.group())  # noqa: E731
        without = LINK.sub(blank, SPAN.sub(blank, SHOWN.sub(blank, text) if page.suffix != ".md" else text))
        for match in self.bare.finditer(without):
            found = self.unknown_in(match.group(), page, here)
            if found:
                line = first_line + text.count("\n", 0, match.start())
                self.report(page, line, match.group(), found[1], found[0])
        for match in SPAN.finditer(text):
            sign = re.sub(r"\s+", " ", match.group(2)).strip()
            found = self.unknown_in(sign, page, here)
            if found:
                line = first_line + text.count("\n", 0, match.start())
                unknown, kind = found
                what = f"`{sign}`" if unknown == sign else f"`{unknown}` in `{sign}`"
                self.report(page, line, what, kind, unknown)


def check(tree):
    signs = Signs(tree)
    for path, line, comment in signs.sources.comments:
        signs.check_text(path, line, comment)
    for path in tree.files(".md"):
        if str(path) in PAGES_NOT_HELD:
            continue
        text = "\n".join(tree.lines(path))
        # What a page's own code names is known on that page: that code is compiled by the tests.
        here = {word for block in FENCE.finditer(text) if block["language"] == "cpp"
                for word in WORD.findall(block.group())}
        prose = FENCE.sub(lambda block: "\n" * block.group().count("\n"), text)
        signs.check_text(path, 1, prose, here)
    for name, number in signs.foreign.items():
        if name not in signs.used:
            tree.problem(FOREIGN, number, f"`{name}`: no sign uses it any more; take it out")
