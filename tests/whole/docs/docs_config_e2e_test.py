"""incidentd takes every TOML block of the documentation, and the commands of some pages do what they say."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

from e2e import BIN, FUSEBOX, INCIDENTD, SOURCE, free_port, http, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from extract_examples import blocks, pages  # noqa: E402

SECRET = "whsec_" + "MDEy" * 8


class DocsConfigTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fusebox-docs-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def said(self, *command, environment=()):
        run = subprocess.run([str(word) for word in command], cwd=self.folder, capture_output=True, text=True,
                             timeout=20,
                             env={**os.environ, **dict(environment)})
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def test_every_toml_block_is_a_configuration(self):
        shown = [(page, line, text) for page in pages(SOURCE) for line, kind, text in blocks(page) if kind == "toml"]
        self.assertGreaterEqual(len(shown), 2)
        for page, line, text in shown:
            with self.subTest(block=f"{page.relative_to(SOURCE)}:{line}"):
                file = self.folder / "block.toml"
                file.write_text(text, encoding="utf-8")
                # What it takes from the environment is there; a secret is one that a webhook can sign with.
                variables = {name: SECRET for name in re.findall(r'\$\{(\w+)\}|_env = "(\w+)"', text) for name in name
                             if name}
                self.said(FUSEBOX, "check-config", file, environment=variables)
                self.said(INCIDENTD, "--check", "--config", file, environment=variables)

    def commands(self, page):
        lines = next(text for _, kind, text in blocks(SOURCE / page) if kind == "bash").splitlines()
        return [shlex.split(re.sub(r"\s+#.*", "", line).replace("build/dev/bin", str(BIN))) for line in lines]

    def serve(self, *command, environment=()):
        """Starts it on a free port; the options with which `fusebox` reaches it."""
        address = f"127.0.0.1:{free_port()}"
        with open(self.folder / "log", "wb") as log:
            service = subprocess.Popen([*command, "--listen", address], cwd=self.folder, stdout=log, stderr=log,
                                       env={**os.environ, **dict(environment)})
        self.addCleanup(service.wait, 20)
        self.addCleanup(service.terminate)
        url = ["--url", f"http://{address}"]
        wait_until(lambda: subprocess.run([FUSEBOX, "list", *url], capture_output=True, check=False).returncode == 0,
                   20, "incidentd answers")
        return url

    def test_the_commands_of_the_service_do_what_they_say(self):
        check, serve, ask = self.commands("service/README.md")
        (self.folder / "incidentd.toml").write_text('[store]\nurl = "memory:"\n', encoding="utf-8")
        self.assertIn("memory:", self.said(*check))
        self.assertIn("store", self.said(*ask, *self.serve(*serve)))

    def test_the_first_commands_when_something_is_wrong_answer(self):
        commands = self.commands("docs/operations.md")
        self.assertGreater(len(commands), 3)
        (self.folder / "incidentd.toml").write_text('[store]\nurl = "memory:"\n', encoding="utf-8")
        url = self.serve(INCIDENTD, "--config", "incidentd.toml")
        for command in commands:
            self.assertTrue(self.said(*command, *url), command)

    def test_the_commands_of_an_operator_do_what_they_say(self):
        commands = self.commands("docs/access.md")
        self.assertGreater(len(commands), 5)
        (self.folder / "incidentd.toml").write_text('[store]\nurl = "memory:"\n', encoding="utf-8")
        url = self.serve(INCIDENTD, "--config", "incidentd.toml", environment={"INCIDENTD_OPERATOR_TOKEN": "op"})
        (self.folder / "token").write_text("op\n", encoding="utf-8")
        alert = {"title": "Checkout is down", "severity": "P1", "labels": {"team": "pay"}}
        incident = http("POST", f"{url[1]}/v1/alerts", alert).json["incident_id"]
        shown = [self.said(*[incident if word == "INCIDENT" else word for word in command], *url)
                 for command in commands]
        for said in shown:
            self.assertIn(incident, said)
        self.assertIn(f"{incident}: P1, resolved", self.said(FUSEBOX, "show-incident", incident, *url))


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
