"""extract_examples.py SOURCE_DIR OUTPUT_DIR: writes each C++ block of the documentation as a file of its own.

A block fenced as ```cpp must be a whole translation unit, ```cpp run a whole program; ```cpp fragment is left out.
Prints the pages it read (.md) and the files it wrote, one a line; the name of a program ends in _run.
An unchanged block keeps its file, so that nothing is compiled twice.
"""

import pathlib
import subprocess
import sys


def pages(source):
    """README.md and CONTRIBUTING.md at the top, docs/**, and each module's README.md."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=source, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode == 0:
        names = listed.stdout.split("\n")
    else:  # an unpacked archive
        names = [
            str(path.relative_to(source)) for path in source.rglob("*.md")
            if not {"build", "node_modules"} & set(path.parts)
        ]
    return [source / name for name in sorted(set(names)) if name and (source / name).is_file()]


def blocks(page):
    """(first line's number, info string, text) of each fenced block."""
    fence, info, start, text = None, "", 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
        stripped = line.lstrip()
        if fence is None and stripped.startswith("```"):
            fence = stripped[: len(stripped) - len(stripped.lstrip("`"))]
            info, start, text = stripped[len(fence) :].strip(), number + 1, []
        elif fence is not None and stripped.rstrip() == fence:
            yield start, info, "\n".join(text) + "\n"
            fence = None
        elif fence is not None:
            text.append(line)


def main():
    source, output = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    wanted = set()
    for page in pages(source):
        print(page)
        name = str(page.relative_to(source).with_suffix("")).replace("/", "_")
        count = 0
        for line, info, text in blocks(page):
            if info not in ("cpp", "cpp run"):
                continue
            count += 1
            target = output / f"{name}_{count}{'_run' if info == 'cpp run' else ''}.cpp"
            wanted.add(target)
            content = f'#line {line} "{page}"\n{text}'
            if not target.is_file() or target.read_text(encoding="utf-8") != content:
                target.write_text(content, encoding="utf-8")
            print(target)
    # A block that went away leaves nothing behind.
    for stale in set(output.glob("*.cpp")) - wanted:
        stale.unlink()


if __name__ == "__main__":
    main()
