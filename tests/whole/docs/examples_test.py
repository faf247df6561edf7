"""examples_test.py CMAKE FOLDER: every C++ block of the documentation compiles; those marked `run` also run and
succeed."""

import os
import pathlib
import subprocess
import sys
import unittest

CMAKE, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])


class ExamplesTest(unittest.TestCase):
    def test_every_block_compiles_and_every_program_runs(self):
        build = subprocess.run(
            [CMAKE, "--build", os.environ["FUSEBOX_BUILD_DIR"], "--target", "docs_examples"], capture_output=True,
            text=True
        )
        self.assertEqual(build.returncode, 0, build.stdout + build.stderr)
        for program in sorted(FOLDER.glob("docs_*")):
            with self.subTest(program=program.name):
                run = subprocess.run([program], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
                self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
