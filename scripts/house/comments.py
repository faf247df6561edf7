"""Parts a source into its code and its comments."""

import re

# Strings and characters are matched first, so that what looks like a comment inside of them is none.
CPP = re.compile(
    r'(?P<skip>R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)"'
    r'|"(?:[^"\\\n]|\\.)*"|(?<![0-9a-fA-F])\'(?:[^\'\\\n]|\\.)\')'
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)",
    re.S,
)
PYTHON = re.compile(
    r'(?P<docstring>^[ \t]*"""(?:[^"\\]|\\.|"(?!""))*""")'
    r'|(?P<skip>[rbfRBF]*"""(?:[^"\\]|\\.|"(?!""))*"""|[rbf]*"(?:[^"\\\n]|\\.)*"|[rbf]*\'(?:[^\'\\\n]|\\.)*\')'
    r"|(?P<comment>#[^\n]*)",
    re.M,
)
HASH = re.compile(r'(?P<skip>"(?:[^"\\]|\\.)*"|\'[^\'\n]*\')|(?P<comment>(?:^|(?<=\s))#[^\n]*)', re.M)
GRAMMARS = {".cpp": CPP, ".hpp": CPP, ".h": CPP, ".cc": CPP, ".js": CPP, ".py": PYTHON}
LEADER = re.compile(r'^[ \t]*(?://[/!]?<?|/\*|\*/|\*|#+!?|""")?', re.M)


def part(name, text):
    """(code, comments): the text without comments, and (first line's number, text) of each block of comments."""
    grammar = GRAMMARS.get(name[name.rfind(".") :] if "." in name else "", HASH)
    code, blocks, at = [], [], 0
    last_end = -1
    for match in grammar.finditer(text):
        if match.lastgroup == "skip" or match.group("skip"):
            continue
        start, end = match.span()
        code.append(text[at:start])
        at = end
        comment = LEADER.sub("", match.group())
        # Lines of comment that follow each other are one block, since a sentence runs over them.
        if blocks and last_end >= 0 and re.fullmatch(r"\n[ \t]*", text[last_end:start]):
            blocks[-1][1] += "\n" + comment
        else:
            blocks.append([text.count("\n", 0, start) + 1, comment])
        last_end = end
    code.append(text[at:])
    return "".join(code), blocks
