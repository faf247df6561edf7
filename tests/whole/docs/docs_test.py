"""The documentation's links lead somewhere, and what its blocks show exists.

Every block is held by somebody: C++ is compiled and run by docs_examples_test, TOML is checked by incidentd in
docs_config_e2e_test, commands and CMake are looked up here.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from extract_examples import blocks, pages  # noqa: E402

SOURCE = pathlib.Path(os.environ.get("FUSEBOX_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[3]))


def prose(page):
    """The page without its code, where brackets mean links."""
    text = re.sub(r"^( *)```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


class DocsTest(unittest.TestCase):
    def test_every_relative_link_leads_to_a_file(self):
        for page in pages(SOURCE):
            for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
                if re.match(r"[a-z]+:", target) or target.startswith("#"):
                    continue
                with self.subTest(page=str(page.relative_to(SOURCE)), link=target):
                    self.assertTrue((page.parent / target.split("#")[0]).exists())

    def test_every_dev_command_that_is_shown_exists(self):
        usage = subprocess.run([SOURCE / "dev", "help"], capture_output=True, text=True, check=True).stdout
        commands = set(re.findall(r"^  (\w+)", usage, flags=re.M))
        self.assertIn("test", commands)
        for page in pages(SOURCE):
            for shown in re.findall(r"\./dev +(\w+)", page.read_text(encoding="utf-8")):
                with self.subTest(page=str(page.relative_to(SOURCE)), command=shown):
                    self.assertIn(shown, commands)

    def test_every_block_is_of_a_kind_that_is_held(self):
        held = {"cpp", "cpp run", "cpp fragment", "toml", "cmake", "bash", ""}  # without a kind: a drawing
        for page in pages(SOURCE):
            for line, kind, _ in blocks(page):
                with self.subTest(block=f"{page.relative_to(SOURCE)}:{line}"):
                    self.assertIn(kind, held)

    def test_every_command_that_is_shown_can_be_given(self):
        """What is run is a script of the tree, a program of ours that has these options, or a well-known tool."""
        programs = set(re.findall(r"fusebox_(?:program|bench|test)\((\w+)", self.cmake()))
        usage = subprocess.run([SOURCE / "dev", "help"], capture_output=True, text=True, check=True).stdout
        for page in pages(SOURCE):
            for line, kind, text in blocks(page):
                for command in re.sub(r"(^|\s)#.*", "", text).splitlines() if kind == "bash" else ():
                    if not command.strip():
                        continue
                    words = shlex.split(command)
                    with self.subTest(block=f"{page.relative_to(SOURCE)}:{line}", command=command):
                        built = re.fullmatch(r"build/(?:dev|release)/bin/(\w+)", words[0])
                        if built:
                            self.assertIn(built.group(1), programs)
                        elif words[0] == "./dev":
                            for option in words[2:]:
                                self.assertTrue(not option.startswith("--") or f" {option} " in usage, option)
                        else:
                            self.assertIn(words[0], ("cmake", "ctest", "curl"))
                            for name in re.findall(r" -S (\S+)", command):
                                self.assertTrue((SOURCE / name / "CMakeLists.txt").is_file(), name)

    def test_every_piece_of_cmake_that_is_shown_names_what_exists(self):
        cmake = self.cmake()
        known = {f"fusebox::{name}" for name in re.findall(r"fusebox_module\((\w+)", cmake)}
        known |= {f"fusebox_dep::{name}" for name in re.findall(r"FUSEBOX_DEB_(\w+)", cmake)}
        files = {path.name for path in SOURCE.glob("*/**/*") if "build" not in path.parts}
        for page in pages(SOURCE):
            for line, kind, text in blocks(page):
                if kind != "cmake":
                    continue
                with self.subTest(block=f"{page.relative_to(SOURCE)}:{line}"):
                    self.assertLessEqual(set(re.findall(r"fusebox(?:_dep)?::\w+", text)), known)
                    self.assertLessEqual({f"fusebox::{name}" for names in re.findall(r"COMPONENTS ([\w ]+)", text)
                                          for name in names.split()}, known)
                    self.assertLessEqual(set(re.findall(r"[\w-]+\.(?:cpp|hpp|py)", text)), files)
                    for function in re.findall(r"^ *(fusebox_\w+)\(", text, flags=re.M):
                        self.assertIn(f"function({function} ", cmake)

    def test_the_readme_says_what_each_module_needs(self):
        """As its CMakeLists.txt links it. core's shelves are one room; `storage_sqlite` is of the room `storage`."""
        shelves = {"text": "core", "policies": "core"}
        table = (SOURCE / "README.md").read_text(encoding="utf-8")
        for listed in SOURCE.glob("*/CMakeLists.txt"):
            module = listed.parent.name
            row = re.search(rf"\n\| \[{module}\]\({module}\) \|.*\| ([^|]*) \|\n", table)
            if row:
                linked = re.findall(r"fusebox::(\w+)", re.sub(r"#.*", "", listed.read_text(encoding="utf-8")))
                needed = {shelves.get(name, name.split("_")[0]) for name in linked} - {module}
                with self.subTest(module=module):
                    said = row.group(1).split(", ")
                    self.assertEqual(set(said), needed or set(said) & {"nothing of ours", "the standard library"})

    def cmake(self):
        """All that CMake reads of this tree, but for the tests' own pages."""
        listed = [*SOURCE.glob("cmake/*.cmake"), *SOURCE.glob("*/CMakeLists.txt"),
                  *SOURCE.glob("core/*/CMakeLists.txt"),
                  *SOURCE.glob("tests/*/*/CMakeLists.txt")]
        return "\n".join(path.read_text(encoding="utf-8") for path in listed)

    def test_the_readme_begins_with_the_two_commands(self):
        shown = [text.strip() for _, info, text in blocks(SOURCE / "README.md") if info == "bash"]
        self.assertEqual(shown[:2], ["./dev run", "./dev test"])

    def test_every_folder_and_every_target_is_on_the_map(self):
        page = (SOURCE / "docs/architecture.md").read_text(encoding="utf-8")
        for target in re.findall(r"^ *fusebox_module\((\w+)", self.cmake(), flags=re.M):
            with self.subTest(target=target):
                self.assertRegex(page, rf"\|[^\n]*`fusebox::{target}`")
        tracked = subprocess.run(["git", "ls-files"], cwd=SOURCE, capture_output=True, text=True, check=False).stdout
        for folder in {name.split("/")[0] for name in tracked.splitlines() if "/" in name and name[0] != "."}:
            with self.subTest(folder=folder):
                self.assertRegex(page, rf"\[{folder}\]\(\.\./{folder}\)|`{folder}/`")

    def test_the_page_of_outcomes_says_what_the_code_says(self):
        page = (SOURCE / "docs/outcomes.md").read_text(encoding="utf-8")
        for heading, source in (("## HTTP requests", "transport/src/http_message.cpp"),
                                ("## Stores", "storage/src/circuit_breaker_store.cpp")):
            code = (SOURCE / source).read_text(encoding="utf-8")
            body = re.search(r"^Outcome outcome_of\(.*?^}", code, flags=re.M | re.S).group()
            judged, kinds = {}, []
            for kind, outcome in re.findall(r"case [\w:]*Kind::(\w+):|return Outcome::(\w+);", body):
                kinds += [kind] if kind else []
                if outcome:
                    judged.update(dict.fromkeys(kinds, outcome.replace("ignored", "neutral")))
                    kinds = []
            said = dict(re.findall(r"^\| `(\w+)` \|.*\| (\w+) \|$", page.split(heading)[1].split("\n## ")[0],
                                   flags=re.M))
            with self.subTest(source=source):
                self.assertGreater(len(judged), 5)
                self.assertEqual(said, judged)

    def test_every_page_is_in_the_list_of_pages(self):
        listed = (SOURCE / "docs/README.md").read_text(encoding="utf-8")
        for page in sorted((SOURCE / "docs").rglob("*.*")):
            name = str(page.relative_to(SOURCE / "docs"))
            if name != "README.md":
                with self.subTest(page=name):
                    self.assertIn(f"({name})", listed)

    def test_every_module_is_in_the_readme(self):
        table = (SOURCE / "README.md").read_text(encoding="utf-8")
        for module in SOURCE.glob("*/CMakeLists.txt"):
            name = module.parent.name
            if (module.parent / "include" / "fusebox").is_dir():
                with self.subTest(module=name):
                    self.assertRegex(table, rf"\n\| (`{name}`|\[{name}\]\({name}\)) \|")


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
