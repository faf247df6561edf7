"""The documentation's links lead somewhere, and the commands that it shows exist."""

import os
import pathlib
import re
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

    def test_the_readme_begins_with_the_two_commands(self):
        shown = [text.strip() for _, info, text in blocks(SOURCE / "README.md") if info == "bash"]
        self.assertEqual(shown[:2], ["./dev run", "./dev test"])

    def test_every_module_is_in_the_readme(self):
        table = (SOURCE / "README.md").read_text(encoding="utf-8")
        for module in SOURCE.glob("*/CMakeLists.txt"):
            name = module.parent.name
            if (module.parent / "include" / "fusebox").is_dir():
                with self.subTest(module=name):
                    self.assertRegex(table, rf"\n\| (`{name}`|\[{name}\]\({name}\)) \|")


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
