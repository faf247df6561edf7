"""Files that are no files, configurations that are made to do harm, and what --check finds before it hurts."""

import os
import signal
import subprocess
import time

from e2e import FUSEBOX, INCIDENTD, Case, main, wait_until

DOTS = 'a.' * 50_000


class Files(Case):
    def run_program(self, *command, timeout=10):
        return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout,
                              cwd=self.folder)

    def fifo(self, name='fifo'):
        os.mkfifo(self.folder / name)
        return self.folder / name

    def write(self, text, name='x.toml'):
        (self.folder / name).write_text(text)
        return self.folder / name

    def test_a_configuration_that_is_no_regular_file_is_refused_at_once(self):
        for path, why in ((self.fifo(), 'is a FIFO'), ('/dev/zero', 'is a device'), (self.folder, 'is a folder')):
            for command in ((INCIDENTD, '--config', path), (INCIDENTD, '--check', '--config', path),
                            (FUSEBOX, 'check-config', path)):
                with self.subTest(command=command):
                    result = self.run_program(*command)
                    self.assertEqual(result.returncode, 2)
                    self.assertIn(why, result.stderr)

    def test_every_file_that_a_configuration_names_is_read_without_waiting(self):
        fifo = self.fifo()
        for toml in (f'[server]\nadmin_token_file = "{fifo}"', f'[server]\ntls_certificate = "{fifo}"\ntls_key = "x"',
                     f'[[destinations]]\nname="a"\ntype="webhook"\nurl="https://h.example"\nca_file = "{fifo}"',
                     f'[[destinations]]\nname="a"\ntype="webhook"\nurl="https://h.example"\nsecret_file = "{fifo}"'):
            with self.subTest(toml=toml):
                result = self.run_program(INCIDENTD, '--config', self.write(toml))
                self.assertEqual(result.returncode, 2)
                self.assertRegex(result.stderr, r'x\.toml:\d+: \S+: \S+ is a FIFO, and must be a regular file')

    def test_a_fifo_in_the_place_of_the_breakers_state_does_not_keep_incidentd_from_running_and_stopping(self):
        service = self.incidentd(f'[server]\nbreaker_state = "{self.fifo()}"')
        self.assertIn('breaker_state_load_failed', service.daemon.output())
        self.assertEqual(service.stop(), 0)

    def test_the_command_refuses_a_token_file_that_is_no_file(self):
        for path in (self.fifo(), '/dev/zero'):
            result = self.run_program(FUSEBOX, '--token-file', path, 'list')
            self.assertEqual(result.returncode, 2)
            self.assertIn('must be a regular file', result.stderr)

    def test_a_key_of_fifty_thousand_dots_is_a_mistake_for_check_and_for_sighup(self):
        for toml in (f'[log]\n{DOTS}a = 1', f'\n[{DOTS}a]', f'\na = {"[" * 50_000}', f'\na = {"{a=" * 50_000}'):
            for command in ((INCIDENTD, '--check', '--config'), (FUSEBOX, 'check-config')):
                result = self.run_program(*command, self.write(toml))
                self.assertEqual(result.returncode, 2, f'{command} {toml[:30]} {result.stderr[:200]}')
                self.assertRegex(result.stderr, r'x\.toml:2: \(syntax\): has more than 32')
        service = self.incidentd()
        service.config.write_text(f'{DOTS}a = 1')
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'reload_refused' in service.daemon.output(), 10, 'the refusal is logged')
        self.assertEqual(service.get('/livez').status, 200)

    def test_a_sighup_onto_a_fifo_is_refused_and_sigterm_still_stops(self):
        service = self.incidentd()
        service.config.unlink()
        os.mkfifo(service.config)
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'reload_refused' in service.daemon.output(), 10, 'the refusal is logged')
        self.assertIn('is a FIFO', service.daemon.output())
        started = time.monotonic()
        self.assertEqual(service.stop(), 0)
        self.assertLess(time.monotonic() - started, 10)

    def test_check_finds_what_would_fail_later(self):
        self.write('not a key', 'garbage.pem')
        bad = '''[server]
tls_certificate = "garbage.pem"
tls_key = "garbage.pem"
[store]
url = "sqlite:/proc/nowhere/x.db"
[breakers."stors"]
open_timeout = "5s"
[[destinations]]
name = "a"
type = "webhook"
url = "http://127.0.0.1:9/hook"
fallback = "b"
[[destinations]]
name = "b"
type = "log"
fallback = "a"
[[routes]]
to = ["a", "a"]
[[routes]]
to = "b"
'''
        result = self.run_program(INCIDENTD, '--check', '--config', self.write(bad))
        self.assertEqual(result.returncode, 2)
        for line, field, advice in (
                (2, 'server.tls_certificate', 'no PEM certificate'), (5, 'store.url', 'no file can be written'),
                (6, 'breakers."stors"', "did you mean 'store'"),
                (11, 'destinations[0].url', 'allow_private_addresses = true'),
                (12, 'destinations[0].fallback', 'a → b → a'), (16, 'destinations[1].fallback', 'b → a → b'),
                (18, 'routes[0].to', "names 'a' twice"), (20, 'routes[1].to', 'continue = true')):
            found = [text for text in result.stderr.splitlines() if f'x.toml:{line}: {field}: ' in text]
            self.assertTrue(found and advice in found[0], f'{line} {field}: {result.stderr}')
        self.assertEqual(len(result.stderr.splitlines()), 8, result.stderr)

    def test_check_leaves_nothing_behind(self):
        self.write('')
        before = sorted(os.listdir(self.folder))
        self.assertEqual(self.run_program(INCIDENTD, '--check', '--config', 'x.toml').returncode, 0)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_no_text_of_a_configuration_steers_the_terminal(self):
        result = self.run_program(INCIDENTD, '--check', '--config',
                                  self.write('"k\\u001b[2J" = 1\n[[routes]]\nto = "x\\u009b\\u202e"\n'))
        self.assertEqual(result.returncode, 2)
        for raw in ('\x1b', '\u009b', '\u202e'):
            self.assertNotIn(raw, result.stderr)
        self.assertIn(r'k\u001b[2J', result.stderr)


if __name__ == '__main__':
    main()
