"""scripts/check_house.py finds each thing that it is there to find, and nothing in a tree that keeps the rules."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FUSEBOX_SOURCE_DIR"])
sys.path.insert(0, str(SOURCE / "scripts"))
import check_house  # noqa: E402
from house.tree import Tree  # noqa: E402

HEADER = "// One sentence.\n#pragma once\n"


class HouseTest(unittest.TestCase):
    """A tree of a test's own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fusebox-house-")
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name)
        subprocess.run(["git", "init", "-q", self.tree], check=True)

    def said_of(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return "".join(text + "\n" for text in check_house.problems(Tree(self.tree)))


class RulesOfTheHouseTest(HouseTest):
    def test_the_script_prints_what_it_finds_and_fails(self):
        shutil.copytree(SOURCE / "scripts", self.tree / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (self.tree / "scripts/foreign_names.txt").unlink()
        (self.tree / ".git/info/exclude").write_text("scripts\n")
        command = ["python3", self.tree / "scripts/check_house.py"]
        run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (0, ""), run.stderr)
        (self.tree / "a.hpp").write_text("#pragma once\n")
        run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (1, "a.hpp:1: a header opens with one sentence of purpose\n"))

    def test_a_module_that_keeps_the_rules_is_left_in_peace(self):
        self.assertEqual(self.said_of("core/breaker/include/fusebox/core/a.hpp", HEADER + "#include <vector>\n"), "")
        header = HEADER + "#include <fusebox/core/a.hpp>\n"
        self.assertEqual(self.said_of("registry/include/fusebox/registry/b.hpp", header), "")

    def test_an_arrow_upwards(self):
        header = HEADER + "#include <fusebox/registry/b.hpp>\n"
        self.assertIn("core must not include registry", self.said_of("core/breaker/include/fusebox/core/a.hpp", header))

    def test_an_arrow_between_siblings(self):
        said = self.said_of("storage/src/a.hpp", HEADER + "#include <fusebox/notifications/b.hpp>\n")
        self.assertIn("storage must not include notifications", said)

    def test_a_third_party_header_in_a_public_header(self):
        header = HEADER + "#include <nlohmann/json.hpp>\n"
        self.assertIn("third-party", self.said_of("registry/include/fusebox/registry/b.hpp", header))
        self.assertNotIn("storage/src", self.said_of("storage/src/c.hpp", header))

    def test_anything_but_the_standard_library_in_core(self):
        said = self.said_of("core/breaker/src/a.hpp", HEADER + "#include <fmt/format.h>\n")
        self.assertIn("core needs nothing but the standard library", said)

    def test_hidden_and_commented_tests(self):
        (self.tree / "tests/unit/core").mkdir(parents=True)
        (self.tree / "tests/unit/core/CMakeLists.txt").write_text("fusebox_test(core_test SOURCES a_test.cpp)\n")
        for line in ('TEST_CASE("x", "[.slow]") {}', 'TEST_CASE("x", "[core][!mayfail]") {}',
                     '    // TEST_CASE("x") {'):
            with self.subTest(line=line):
                self.assertIn("a_test.cpp:1: no test is", self.said_of("tests/unit/core/a_test.cpp", line + "\n"))
        self.assertEqual(self.said_of("tests/unit/core/a_test.cpp", 'TEST_CASE("R2: open rejects", "[core]") {}\n'), "")

    def test_code_behind_if_0(self):
        self.assertIn("#if 0", self.said_of("bench/a.cpp", "#if 0\n#endif\n"))

    def test_a_test_left_out_of_the_build(self):
        (self.tree / "tests/unit/core").mkdir(parents=True)
        (self.tree / "tests/unit/core/CMakeLists.txt").write_text("# a_test.cpp\n")
        self.assertIn("no target", self.said_of("tests/unit/core/a_test.cpp", "\n"))

    def test_a_header_without_its_sentence(self):
        self.assertIn("one sentence of purpose", self.said_of("core/breaker/src/a.hpp", "#pragma once\n"))

    def test_a_product_file_of_more_than_500_lines(self):
        lines = HEADER + "\n" * 498
        self.assertEqual(self.said_of("core/breaker/src/a.hpp", lines), "")
        self.assertIn("501 lines of product code", self.said_of("core/breaker/src/a.hpp", lines + "\n"))

    def test_a_line_of_more_than_120_characters(self):
        for name, start in (("bench/a.cpp", "// "), ("bench/a.py", "# "), ("docs/a.md", ""), ("cmake/a.cmake", "# "),
                            ("bench/CMakeLists.txt", "# "), ("dev", "# ")):
            with self.subTest(name=name):
                line = start + "☂" * (120 - len(start))  # three bytes each
                self.assertEqual(self.said_of(name, line + "\n"), "")
                self.assertEqual(self.said_of(name, f"{line}☂\n"), f"{name}:1: a line of 121 characters, at most 120\n")
                self.said_of(name, "\n")

    def test_a_long_line_that_cannot_be_broken(self):
        self.assertEqual(self.said_of("docs/a.md", "| " + "a " * 70 + "|\n"), "")
        self.assertEqual(self.said_of("bench/a.cpp", "// https://example.com/" + "a" * 120 + "\n"), "")
        self.assertEqual(self.said_of("tests/proof/mutation/mutants.py", "# " + "a " * 70 + "\n"), "")
        self.assertEqual(self.said_of("docs/a.json", "a " * 70 + "\n"), "")
        self.assertIn("characters", self.said_of("bench/b.cpp", "// https://example.com " + "a " * 60 + "\n"))

    def test_only_an_adapter_shows_its_library_in_a_public_header(self):
        header = HEADER + "#include <prometheus/collectable.h>\n"
        self.assertEqual(self.said_of("registry/include/fusebox/registry/prometheus.hpp", header), "")
        self.assertIn("third-party", self.said_of("registry/include/fusebox/registry/registry.hpp", header))

    def test_the_documents_of_the_design(self):
        self.assertIn("say what is so", self.said_of("docs/a.md", "As in seed " + "000.\n"))
        self.assertEqual(self.said_of("docs/a.md", "Equal seeds give equal draws.\n"), "")


class SignsTest(HouseTest):
    """What stands in backticks exists."""

    def setUp(self):
        super().setUp()
        self.write("core/breaker/include/fusebox/core/fuse.hpp",
                   HEADER + "struct Fuse {\n    void blow_out();  // not a `Relay`\n};\n#define FUSE_BOX 1\n")
        self.write("bench/CMakeLists.txt", "option(FUSEBOX_WITH_FUSES)\nadd(fuse_bench call/timed)\n")
        self.write("core/breaker/src/lamp.hpp", HEADER + "struct Lamp {};\nusing Relay = Lamp;\n")

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def said_of_sign(self, sign, page="docs/a.md"):
        return self.said_of(page, f"Words and {sign}, more words.\n")

    def test_what_exists_may_be_named(self):
        signs = ("Fuse", "Fuse::blow_out", "fuse.blow_out()", "FUSE_BOX", "-DFUSEBOX_WITH_FUSES=ON", "blow_…", "_bench",
                 "fuse_NAME", "FILE:LINE", "std::stop_callback", "call/timed", "call/…", "call/NAME", "40 / 2",
                 "core/breaker/src/lamp.hpp", "core/", "lamp.hpp", "<fusebox/core/fuse.hpp>", "src/*.hpp", "../core",
                 "build/dev/bin/fuse_bench", "https://example.com/x", "core/breaker/src/NAME.hpp")
        self.assertEqual(self.said_of("docs/a.md", "".join(f"- `{sign}`\n" for sign in signs)), "")

    def test_what_does_not_exist_is_named_with_its_line(self):
        signs = {"Thermostat": "Thermostat", "Fuse::melt": "melt", "blowout()": "blowout", "FUSE_BOXES": "FUSE_BOXES",
                 "Lamp::blow_out": "Lamp::blow_out", "melt_…": "melt_", "-DFUSEBOX_WITH_LAMPS=ON": "FUSEBOX_WITH_LAMPS"}
        said = self.said_of("docs/a.md", "".join(f"- `{sign}`\n" for sign in signs)).splitlines()
        for number, (line, (sign, unknown)) in enumerate(zip(said, signs.items(), strict=True), 1):
            what = f"`{sign}`" if sign == unknown else f"`{unknown}` in `{sign}`"
            self.assertEqual(line, f"docs/a.md:{number}: {what}: no such name in the sources; "
                                   f"mend the sign, or add {unknown} to scripts/foreign_names.txt with its origin")

    def test_a_path_that_leads_nowhere(self):
        paths = ("core/breaker/src/candle.hpp", "candles/", "candle.hpp", "<fusebox/core/lamp.hpp>", "../candles",
                 "docs/*.txt", "build/dev/bin/candle", "call/untimed")
        said = self.said_of("docs/a.md", "".join(f"- `{path}`\n" for path in paths)).splitlines()
        for number, line in enumerate(said, 1):
            self.assertRegex(line, rf"^docs/a.md:{number}: `[^`]+`( in `[^`]+`)?: no such path; ")
        self.assertEqual(len(said), len(paths))

    def test_a_file_that_is_named_without_backticks(self):
        self.assertIn("candle.md: no such path", self.said_of_sign("see candle.md for more"))
        self.assertIn("core/src: no such path", self.said_of_sign("as in core/src, which moved"))
        self.assertEqual(self.said_of_sign("see lamp.hpp and core/breaker/src for more"), "")

    def test_a_name_without_backticks_where_it_can_be_nothing_else(self):
        for name in ("Fuse::melt", "melt_down", "CandleStick"):
            with self.subTest(name=name):
                self.assertIn("no such name", self.said_of("bench/a.cpp", f"// See {name}, which burns.\n"))
        shown = "// See Fuse::blow_out, blow_out and MacBook:\n///\n///     melt_down(CandleStick);\n"
        self.write("scripts/foreign_names.txt", "MacBook  a maker\n")
        self.assertEqual(self.said_of("bench/a.cpp", shown), "")

    def test_comments_of_every_language(self):
        texts = {"bench/a.cpp": "int a;  // a\n/// `Candle` burns\n", "bench/a.py": "a = 1\n# `Candle`\n",
                 "bench/b.py": 'def a():\n    """`Candle` burns."""\n', "cmake/a.cmake": "set(a)\n#   `Candle` burns\n",
                 "dev": "true\n# `Candle`\n"}
        for name, text in texts.items():
            self.write(name, text)
        said = self.said_of_sign("`Fuse`")
        for name in texts:
            self.assertIn(f"{name}:2: `Candle`: no such name", said)

    def test_a_name_that_only_comments_and_pages_have_does_not_exist(self):
        self.write("bench/a.cpp", "// Candle\n/* Candle */\n")
        self.write("docs/b.md", "# Candle\n")
        self.assertIn("`Candle`: no such name", self.said_of_sign("`Candle`"))
        self.write("bench/a.cpp", 'auto a = "// Candle";\n')
        self.assertEqual(self.said_of_sign("`Candle`"), "")

    def test_a_page_knows_its_own_code(self):
        self.assertEqual(self.said_of("docs/a.md", "`Candle` burns:\n\n```cpp\nstruct Candle {};\n```\n"), "")
        self.assertIn("`Candle`", self.said_of("docs/a.md", "`Candle` burns:\n\n```bash\nCandle\n```\n"))

    def test_the_roadmap_and_the_changelog_speak_of_other_times(self):
        for page in ("docs/roadmap.md", "CHANGELOG.md"):
            self.assertEqual(self.said_of_sign("`Candle`", page), "")

    def test_a_name_from_elsewhere_is_listed_with_its_origin_while_it_is_used(self):
        self.write("docs/b.md", "`Candle` burns.\n")
        foreign = self.tree / "scripts/foreign_names.txt"
        foreign.parent.mkdir()
        foreign.write_text("# a heading\nCandle  a shop\n", encoding="utf-8")
        self.assertEqual(self.said_of_sign("`Candle`"), "")
        foreign.write_text("Candle\n", encoding="utf-8")
        self.assertIn("foreign_names.txt:1: `Candle`: say where it is from", self.said_of_sign("`Fuse`"))
        foreign.write_text("Candle  a shop\nMatch  a shop\n", encoding="utf-8")
        self.assertIn("foreign_names.txt:2: `Match`: no sign uses it any more", self.said_of_sign("`Fuse`"))


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
