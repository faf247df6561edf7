"""bench/ judges figures by what was measured beside them, and writes nothing but its own block of the page."""

import contextlib
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(os.environ["FUSEBOX_SOURCE_DIR"]) / "bench"))
import ingest  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402


def promised(machine=1.0):
    """Repetitions of a run in which every guarded row is well within its bound, on a machine `machine` times as
    slow."""
    ns = {(bound.of, threads): 20 + place for place, (_, threads, bound) in enumerate(report.GUARD)}
    ns[report.CYCLES, 1] = 25
    for name, threads, bound in report.GUARD:
        ns[name, threads] = 0.5 * bound.limit(ns, threads)
    return {key: [(machine * value, 0.0)] * 3 for key, value in ns.items()}


class GuardTest(unittest.TestCase):
    def broken(self, found):
        return report.guard(found)[1]

    def test_a_slow_machine_is_not_a_slow_breaker(self):
        self.assertEqual(self.broken(promised()), [])
        self.assertEqual(self.broken(promised(machine=10)), [])

    def test_every_guarded_row_is_caught_when_it_alone_gets_slower(self):
        for name, threads, _ in report.GUARD:
            with self.subTest(row=name, threads=threads):
                found = promised()
                found[name, threads] = [(2.1 * ns, count) for ns, count in found[name, threads]]
                self.assertIn(report.at(name, threads) + ":", "\n".join(self.broken(found)))

    def test_only_the_fastest_repetition_counts(self):
        found = promised()
        fast, *_ = found["state", 1]
        found["state", 1] = [(1e6, 0.0), fast, (1e6, 0.0)]
        self.assertEqual(self.broken(found), [])

    def test_a_row_that_was_not_measured_is_not_as_promised(self):
        found = promised()
        del found["state", 1]
        self.assertEqual(self.broken(found), ["state at 1 thread: was not measured"])
        self.assertIn("state: was not measured", report.core_table(found)[1])
        found = promised()
        del found[report.LOAD, 1]
        self.assertEqual(self.broken(found),
                         ["state at 1 thread: what it is held to, parts/load + 1 cycle, was not measured"])

    def test_dear_parts_are_not_a_slow_breaker(self):
        # A processor on which a locked instruction costs much: the parts and the operation are dearer by the same.
        found = promised()
        for row in ((report.TIMED, 1), ("call_success/timed", 1)):
            found[row] = [(ns + 15, count) for ns, count in found[row]]
        self.assertEqual(self.broken(found), [])
        found["call_success/timed", 1] = [(3 * ns, count) for ns, count in found["call_success/timed", 1]]
        self.assertIn("(parts/timed + 45 cycles)", self.broken(found)[0])

    def test_an_allocation_is_caught(self):
        found = promised()
        found["reject/call", 1] = [(ns, 1.0) for ns, _ in found["reject/call", 1]]
        self.assertIn("reject/call: 1 allocations", self.broken(found)[0])


    def test_two_threads_on_one_core_are_not_compared(self):
        found = promised()
        found["reject/call", 2] = [(1e6, 0.0)]
        lines, broken = report.guard(found, cores=1)
        self.assertEqual(broken, [])
        self.assertIn("reject/call at 2 threads: not compared, this process may use only 1 core", lines)
        self.assertIn("reject/call at 2 threads:", report.guard(found, cores=2)[1][0])


class FiguresTest(unittest.TestCase):
    def entry(self, **more):
        return {"name": "state/threads:2", "run_name": "state/threads:2", "run_type": "iteration", "wall": 0.5,
                "real_time": 0.1, "allocations": 0.0, **more}

    def test_repetitions_are_read_and_aggregates_are_not(self):
        found = report.repetitions({"context": {}, "benchmarks": [
            self.entry(), self.entry(wall=0.7), self.entry(run_type="aggregate", aggregate_name="cv", wall=9)]})
        self.assertEqual(found, {("state", 2): [(0.5, 0.0), (0.7, 0.0)]})

    def test_a_row_that_failed_is_not_a_figure(self):
        with self.assertRaisesRegex(report.Wrong, "state/threads:2: the circuit is open"):
            report.repetitions({"context": {}, "benchmarks": [
                self.entry(error_occurred=True, error_message="the circuit is open")]})

    def test_threads_that_ran_one_after_the_other_are_judged_by_the_wall(self):
        # Each took 1 ns per operation of its own while the other waited; real_time halves that, though nothing
        # overlapped.
        found = report.repetitions({"context": {"library_version": "v1.7.1"}, "benchmarks": [
            self.entry(real_time=0.5, wall=1.0)]})
        self.assertEqual(found, {("state", 2): [(1.0, 0.0)]})

    def test_what_is_not_as_promised_is_named_with_both_figures(self):
        found = {(report.TIMED, 1): [(20.0, 0.0)], (report.CYCLES, 1): [(20.0, 0.0)],
                 ("call_success/timed", 1): [(40.0, 0.0)], ("call_success/timed", 2): [(20.0, 0.25)]}
        _, broken = report.core_table(found, partial=True)
        self.assertEqual(broken, [("call_success/timed at 1 thread: 40.0 ns, must be ≤ 27.0 ns "
                                   "(parts/timed + 35 cycles)"),
                                  "call_success/timed: 0.25 allocations per operation, must be 0"])

    def test_a_bound_goes_by_the_row_with_as_many_threads(self):
        ns = {(report.TIMED, 1): 30.0, (report.TIMED, 2): 16.0}
        self.assertEqual([report.Bound(1.5, report.TIMED).limit(ns, threads) for threads in (1, 2)], [45, 24])
        self.assertIsNone(report.Bound(1.5, report.LOAD).limit(ns, 1))
        self.assertIsNone(report.Bound(1, report.TIMED, 40).limit(ns, 1))
        self.assertEqual(report.Bound(1, report.TIMED, 40).limit({**ns, (report.CYCLES, 1): 25.0}, 2), 26)
        self.assertEqual(report.Bound(9, "ns").limit(ns, 2), 9)

    def test_the_interval_of_a_median_is_by_ranks(self):
        # The binomial table for 100 values: the 40th and the 61st.
        self.assertEqual(report.median_and_interval(range(1, 101)), (50.5, 40, 61))
        self.assertEqual(report.median_and_interval([3, 1, 2]), (2, 1, 3))

    def test_what_a_wrapper_adds_is_judged_by_its_whole_interval(self):
        noise = [[1000, 1000 + extra] for extra in range(-20, 40)]
        lines, broken = report.real_table(
            {"cheap": [[1000, 1009]] * 9, "dear": [[1000, 1011]] * 9, "unclear": noise})
        self.assertEqual([line[-1] for line in lines[1:]], ["≤ 1 %: yes", "≤ 1 %: NO", "≤ 1 %: too noisy to say"])
        self.assertEqual([line.split()[0] for line in broken], ["dear", "unclear"])

    def test_a_peer_that_failed_is_named_and_the_others_stay(self):
        lines, broken = report.real_table({"dead": "initdb failed: no space", "cheap": [[1000, 1009]] * 9})
        self.assertEqual([line[:2] for line in lines[1:]],
                         [["dead", "not measured: initdb failed: no space"], ["cheap", "1000.0 ns"]])
        self.assertEqual(broken, ["dead with a breaker: not measured: initdb failed: no space"])

    def test_whatever_ails_one_peer_the_others_are_measured(self):
        @contextlib.contextmanager
        def dead(*_):
            raise OSError("no such\n  program")
            yield

        @contextlib.contextmanager
        def alive(*_):
            yield "here"

        with mock.patch.multiple(run.peers, redis=dead, postgres=alive, http=alive), \
                mock.patch.object(pathlib.Path, "exists", return_value=True), \
                mock.patch.object(run, "said", lambda program, what, *_: [[1, 1]]):
            self.assertEqual(run.real(), {"Redis GET": "no such program", "Postgres SELECT 1": [[1, 1]],
                                          "HTTP GET": [[1, 1]]})

    def weighed(self, **more):
        return {"breakers": 1_000_000, "how": "used", "allocated": 9e8, "resident": 1024e6, **more}

    def test_only_a_million_breakers_in_ordinary_use_are_held_to_a_weight(self):
        lines, broken = report.memory_table([
            self.weighed(), self.weighed(how="called", resident=2e9),
            self.weighed(breakers=1_000, how="tripped", allocated=3e6, resident=3e6)])
        self.assertEqual(broken, [])
        self.assertEqual([line[-1] for line in lines[1:]], ["≤ 1,024: yes", "", ""])
        self.assertEqual(lines[3], ["1,000, tripped once each", "3,000 bytes", "3,000 bytes", ""])
        for too_much in ({"resident": 1025e6}, {"allocated": 1025e6}):
            self.assertEqual(report.memory_table([self.weighed(**too_much)])[1],
                             ["memory per breaker at a million: 1,025 bytes, must be ≤ 1,024"])

    def test_a_million_breakers_that_were_not_weighed_are_not_as_promised(self):
        lines, broken = report.memory_table([
            {"breakers": 1_000_000, "how": how, "why": "would need 11 GiB"} for how in ("called", "used")])
        self.assertEqual(broken, ["memory of 1,000,000 breakers: not measured: would need 11 GiB"])
        self.assertEqual([line[-1] for line in lines[1:]], ["", "≤ 1,024: NO"])

    def scrapes(self, ten, steady=None, ms=5.0):
        """20 rounds in which the quiet p99.9 is 300 ns, and scrapes add `ten` and `steady` to it, round by round."""
        def phase(extra):
            return {"calls": [90, 110, 300 + extra], "scrape_ms": [ms]}
        rounds = [[phase(0), phase(a), phase(b)] for a, b in zip(ten, steady or [0] * 20)]
        return report.scrape_table({"rounds": rounds, "line_ns": [90] * len(rounds)})

    def test_callers_that_scrapes_do_not_disturb_are_as_promised(self):
        lines, broken = self.scrapes([5] * 20, [30] * 20)
        self.assertEqual(broken, [])
        self.assertEqual(lines[3][1:], ["300.0 ns", "305.0 ns", "+5 ns (+5 … +5)", "≤ +30 ns: yes",
                                        "330.0 ns", "+30 ns (+30 … +30)", "≤ +30 ns: yes"])

    def test_each_kind_of_scraping_is_held_to_the_promise_by_itself(self):
        text = "calls during scrapes {}: p99.9 differs by +600 ns (+600 … +600) from 300.0 ns, must be ≤ +30 ns: NO"
        self.assertEqual(self.scrapes([600] * 20)[1], [text.format("ten a second")])
        self.assertEqual(self.scrapes([0] * 20, [600] * 20)[1], [text.format("one after the other")])

    def test_a_disturbance_in_most_rounds_is_not_excused_by_the_others(self):
        lines, broken = self.scrapes([180] * 12 + [0] * 8)
        self.assertEqual(lines[3][3:5], ["+180 ns (+0 … +180)", "≤ +30 ns: too noisy to say"])
        self.assertEqual(len(broken), 1)
        self.assertIn("too noisy to say", broken[0])

    def test_a_slow_scrape_is_named(self):
        self.assertEqual(self.scrapes([0] * 20, ms=11.0)[1],
                         [f"a scrape of 1,000 breakers, {kind}: 11.0 ms, must be ≤ 10 ms" for kind in report.SCRAPES])


class PageTest(unittest.TestCase):
    def page(self, text):
        folder = tempfile.TemporaryDirectory(prefix="fusebox-bench-")
        self.addCleanup(folder.cleanup)
        page = pathlib.Path(folder.name) / "performance.md"
        page.write_text(text, encoding="utf-8")
        return page

    def test_the_block_is_replaced_and_the_prose_stays(self):
        page = self.page(f"# Before\n\n{run.BEGIN}\nold\n{run.END}\n\nAfter\n")
        run.write_page(page, "here", [("Operations", [["operation", "1 thread"], ["`state()`", "0.5 ns"]])], [])
        text = page.read_text(encoding="utf-8")
        self.assertTrue(
            text.startswith(f"# Before\n\n{run.BEGIN}\n\nMeasured here.\n\n### Operations\n\n| operation |"))
        self.assertIn("| `state()` | 0.5 ns |", text)
        self.assertTrue(text.endswith(f"\n\n{run.END}\n\nAfter\n"))
        self.assertNotIn("old", text)

    def test_a_page_without_the_block_is_left_alone(self):
        page = self.page("# Only prose\n")
        with self.assertRaisesRegex(report.Wrong, "has no block"):
            run.write_page(page, "here", [], [])
        self.assertEqual(page.read_text(encoding="utf-8"), "# Only prose\n")


class IntakeTest(unittest.TestCase):
    def rounds(self, *ratios):
        """A round per ratio; in each, Alertmanager takes as many alerts as the machine allows just then."""
        def side(rate):
            loads = {title: {"rate": rate, "p50": 1000, "p99": 2000, "written": 100} for title, *_ in ingest.LOADS}
            return {**loads, "memory": 2**20}
        return [{"alertmanager": side(1000 * place), "incidentd": side(ratio * 1000 * place)}
                for place, ratio in enumerate(ratios, 1)]

    def test_the_ratio_is_the_median_of_the_rounds(self):
        lines, broken = ingest.table(self.rounds(1.0, 1.5, 9.0))
        self.assertEqual([line[3] for line in lines[1:5]], ["1.50"] * 4)
        self.assertEqual(broken, [])

    def test_each_load_is_held_to_its_own_goal(self):
        broken = ingest.table(self.rounds(0.75, 0.75, 0.75))[1]
        self.assertEqual([line.split(":")[0] for line in broken],
                         [title for title, _, _, least in ingest.LOADS if least == 1.0])
        self.assertEqual(len(ingest.table(self.rounds(0.25))[1]), len(ingest.LOADS))

    def test_the_intake_table_goes_between_its_own_marks(self):
        with tempfile.TemporaryDirectory(prefix="fusebox-bench-") as folder:
            page = pathlib.Path(folder) / "performance.md"
            page.write_text(f"{run.BEGIN}\nkept\n{run.END}\n{run.INTAKE_BEGIN}\nold\n{run.INTAKE_END}\n")
            run.write_page(page, "here", [("Intake", [["alerts"], ["1"]])], [], run.INTAKE_BEGIN, run.INTAKE_END)
            text = page.read_text()
        self.assertTrue(text.startswith(f"{run.BEGIN}\nkept\n{run.END}\n{run.INTAKE_BEGIN}\n\nMeasured here."))
        self.assertNotIn("old", text)


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
