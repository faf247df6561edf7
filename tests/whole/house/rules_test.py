"""Every rule of docs/breaker-contract.md stands in the name of at least one test. Prints how many tests each rule
has."""

import collections
import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(os.environ["FUSEBOX_SOURCE_DIR"])

NUMBER = re.compile(r"\bR(\d+)\b")
# A name that says "R1 … R5" says that it is about everything, which is about nothing in particular.
RANGE = re.compile(r"\bR\d+\s*(?:-|–|—|…|\.\.\.?|to)\s*R\d+\b")
STRING = r'"(?:[^"\\]|\\.)*"'
TEST_CASE = re.compile(rf"\bTEST_CASE(?:_METHOD)?\(\s*(?:\w+\s*,\s*)?((?:{STRING}\s*)+)")


def defined(contract):
    """The rules that the contract defines: each has its number at the head of a line or of a sentence."""
    return {int(number) for number in re.findall(r"(?:^- |\. )R(\d+) ", contract, re.MULTILINE)}


def names(source):
    """The names of the tests in a C++ source."""
    return ["".join(re.findall(STRING, name)).replace('"', "") for name in TEST_CASE.findall(source)]


def rules(name):
    """The rules that a test's name says it is about; ranges do not count."""
    return {int(number) for number in NUMBER.findall(RANGE.sub("", name))}


class RulesTest(unittest.TestCase):
    def test_names_and_their_rules_are_read_as_meant(self):
        source = 'TEST_CASE("R4: one") {}\nTEST_CASE_METHOD(Rig, "R20, R21: two"\n  " parts") {}\n// "R5: no test"\n'
        self.assertEqual(names(source), ["R4: one", "R20, R21: two parts"])
        self.assertEqual(rules("R20, R21: two parts"), {20, 21})
        self.assertEqual(rules("R2/R3: two"), {2, 3})
        self.assertEqual(rules("R1–R51: all"), set())
        self.assertEqual(rules("R1 … R5, R8 … R31, R40: most"), {40})
        self.assertEqual(rules("WR4 and R4x: none"), set())
        self.assertEqual(defined("- R1 opens. R2 closes\n  as in R7 (see R8).\n- R9 ends."), {1, 2, 9})

    def test_every_rule_has_a_test_with_its_number(self):
        contract = (ROOT / "docs/breaker-contract.md").read_text(encoding="utf-8")
        wanted = defined(contract)
        # What is only spoken of must be defined too; also guards against reading the page wrongly.
        self.assertEqual(wanted, {int(number) for number in NUMBER.findall(contract)})
        self.assertGreater(len(wanted), 40)

        tests = collections.Counter()
        for path in sorted((ROOT / "tests").rglob("*.cpp")):
            if "node_modules" not in path.parts:
                for name in names(path.read_text(encoding="utf-8")):
                    tests.update(rules(name))
        print("tests by rule:", ", ".join(f"R{rule} {tests[rule]}" for rule in sorted(wanted)))
        missing = [f"R{rule}" for rule in sorted(wanted) if not tests[rule]]
        self.assertEqual(missing, [], "no TEST_CASE below tests/ has these rules in its name")
        unknown = [f"R{rule}" for rule in sorted(tests) if rule not in wanted]
        self.assertEqual(unknown, [], "tests name rules that the contract does not have")


if __name__ == "__main__":
    sys.exit(unittest.main())
