"""`./dev run` does what README.md promises: it starts incidentd, says where it is, and its curl line makes an
incident."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from e2e import SOURCE, free_port, wait_until

PRESET = pathlib.Path(os.environ["FUSEBOX_BUILD_DIR"]).name


class DevRunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fusebox-dev-run-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.address = f"127.0.0.1:{free_port()}"
        config = self.folder / "incidentd.toml"
        config.write_text(f'[store]\nurl = "sqlite:{self.folder}/incidentd.db"\n', encoding="utf-8")
        self.command = [SOURCE / "dev", "run", "--config", config, "--listen", self.address]

    def start(self):
        log = open(self.folder / "log", "w+b")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [str(word) for word in self.command], env={**os.environ, "PRESET": PRESET}, stdout=log, stderr=log
        )

        def stop():
            if process.poll() is None:
                process.terminate()
                process.wait(20)

        self.addCleanup(stop)
        output = self.folder / "log"
        wait_until(
            lambda: process.poll() is not None or "See it:" in output.read_text(errors="replace"), 200,
            "./dev run is up"
        )
        text = output.read_text(errors="replace")
        self.assertIsNone(process.poll(), text)
        return process, text

    def test_the_printed_lines_work(self):
        process, text = self.start()
        first = re.search(r"^ *(curl .*/v1/alerts .*)$", text, re.M).group(1)
        answer = subprocess.run(["bash", "-c", first], capture_output=True, text=True, check=True).stdout
        incident = json.loads(answer)["incident_id"]

        see = re.search(r"See it: +(curl .*)$", text, re.M).group(1)
        shown = subprocess.run(["bash", "-c", see], capture_output=True, text=True, check=True).stdout
        self.assertIn(incident, [entry["id"] for entry in json.loads(shown)["incidents"]])

        for place in re.findall(r"^    (?:API|health|metrics) +(\S+)$", text, re.M):
            with self.subTest(place=place):
                self.assertTrue(subprocess.run(["curl", "-sfo", os.devnull, place], check=False).returncode == 0)

        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)

    def test_a_taken_port_is_said_and_a_way_out_is_named(self):
        self.start()
        second = subprocess.run(
            [str(word) for word in self.command], env={**os.environ, "PRESET": PRESET}, capture_output=True, text=True
        )
        self.assertEqual(second.returncode, 1)
        self.assertIn("is taken. Choose another: ./dev run --listen", second.stderr)


if __name__ == "__main__":
    unittest.main(argv=[__file__, "-v"])
