"""scripts/check_house.py finds each thing that it is there to find, and nothing in a tree that keeps the rules."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["FUSEBOX_SOURCE_DIR"])
HEADER = "// One sentence.\n#pragma once\n"


class CheckHouseTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fusebox-house-")
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name)
        subprocess.run(["git", "init", "-q", self.tree], check=True)
        shutil.copytree(SOURCE / "scripts", self.tree / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (self.tree / "scripts/foreign_names.txt").write_text("")
        (self.tree / ".git/info/exclude").write_text("scripts\n")

    def said_of(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        run = subprocess.run(["python3", self.tree / "scripts/check_house.py"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1 if run.stdout else 0, run.stderr)
        return run.stdout

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
        for line in ('TEST_CASE("x", "[.slow]") {}', 'TEST_CASE("x", "[core][!mayfail]") {}', '    // TEST_CASE("x") {'):
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


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
