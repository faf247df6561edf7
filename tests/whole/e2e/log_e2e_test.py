"""The log as an operator meets it: what a reload changed, who was refused, and a reader that does not read."""

import os
import signal
import subprocess
import time

from e2e import FUSEBOX, INCIDENTD, Case, http, main, wait_until


class Log(Case):
    def reload(self, service, config):
        before = service.daemon.output().count(' reloaded ')
        service.config.write_text(config)
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.daemon.output().count(' reloaded ') > before, 10, 'it has reloaded')
        return [line for line in service.daemon.output().splitlines() if ' reloaded ' in line][-1]

    def test_a_reload_says_what_it_changed_and_no_secret(self):
        service = self.incidentd()
        self.assertIn('changed=nothing', self.reload(service, ''))
        line = self.reload(service, '''[server]
admin_token = "a-new-token"
[incidents]
flap_window = "1m"
[breakers."store"]
open_timeout = "7s"
[[destinations]]
name = "hook"
type = "webhook"
url = "https://hooks.example/a-secret-path"
''')
        for name in ('server.admin_token', 'incidents.flap_window', 'destinations.hook added',
                     'destinations.log removed', 'breakers.store'):
            self.assertIn(name, line)
        self.assertNotIn('log.level', line)
        for secret in ('a-new-token', 'a-secret-path'):
            self.assertNotIn(secret, service.daemon.output())

    def test_refused_requests_are_lines_of_the_log_and_a_flood_of_them_is_counted(self):
        service = self.incidentd()
        for _ in range(200):
            service.post('/v1/circuit-breakers/store/open', {}, headers={'Authorization': 'Bearer guessed'})
        service.stop()
        lines = [line for line in service.daemon.output().splitlines() if 'request_refused' in line]
        self.assertGreaterEqual(len(lines), 20)
        self.assertLess(len(lines), 60)
        for part in ('method=POST', 'path=/v1/circuit-breakers/store/open', 'status=401', 'peer=127.0.0.1', 'reason='):
            self.assertIn(part, lines[0])
        left_out = [int(line.rsplit('left_out=', 1)[1]) for line in service.daemon.output().splitlines()
                    if 'left_out=' in line]
        self.assertEqual(len(lines) + sum(left_out), 200)
        self.assertNotIn('guessed', service.daemon.output())

    def test_alerts_that_are_over_before_anybody_heard_of_them_are_a_line_of_the_log(self):
        service = self.incidentd()
        alert = {'labels': {'alertname': 'Behind'}, 'startsAt': '2020-01-01T00:00:00Z'}
        self.assertEqual(service.post('/api/v2/alerts', [alert | {'endsAt': '2020-01-01T00:04:00Z'}]).status, 200)
        self.assertEqual(service.post('/api/v2/alerts', [alert]).status, 200)
        ended = [alert | {'endsAt': '2020-01-01T00:05:00Z'}]
        self.assertEqual(service.post('/api/v2/alerts', ended).status, 200)
        service.stop()
        lines = [line for line in service.daemon.output().splitlines() if 'alerts_over_unheard' in line]
        self.assertEqual(len(lines), 1, lines)
        for part in ('alerts=1', 'first=Behind', 'ended_at=2020-01-01T00:04:00Z', 'peer=127.0.0.1', 'a clock is wrong'):
            self.assertIn(part, lines[0])

    def test_a_reader_of_the_log_that_stops_reading_stops_neither_requests_nor_the_end(self):
        where = self.folder / 'listen'
        (self.folder / 'x.toml').write_text('[log]\nlevel = "debug"\n[store]\nurl = "memory:"\n')
        read, write = os.pipe()  # 64 KiB, and nobody reads
        self.addCleanup(os.close, read)
        process = subprocess.Popen([INCIDENTD, '--config', 'x.toml', '--listen', '127.0.0.1:0', '--listen-file', where],
                                   cwd=self.folder, stdout=subprocess.DEVNULL, stderr=write, stdin=subprocess.DEVNULL)
        os.close(write)
        self.addCleanup(process.wait, 20)
        self.addCleanup(process.kill)
        url = 'http://' + wait_until(lambda: where.exists() and where.read_text().strip(), 15, 'it is ready')
        batch = [{'labels': {'alertname': f'{n}', 'text': 'x' * 400}} for n in range(64)]
        for n in range(100):  # each brings 64 lines of more than 100 bytes
            for alert in batch:
                alert['labels']['batch'] = str(n)
            started = time.monotonic()
            self.assertEqual(http('POST', f'{url}/api/v2/alerts', batch).status, 200)
            self.assertLess(time.monotonic() - started, 5)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        self.assertLess(time.monotonic() - started, 10)

    def test_the_last_lines_are_written_before_the_process_ends(self):
        service = self.incidentd()
        service.stop()
        self.assertTrue(service.daemon.output().splitlines()[-1].endswith(' info stopped'))

    def test_no_text_of_an_alert_steers_the_terminal(self):
        service = self.incidentd()
        evil = 'x\x1b[2J\u009b31m\u202e'
        service.post('/v1/alerts', {'title': evil, 'labels': {'a': 'b'}})
        shown = subprocess.run([FUSEBOX, '--url', service.url, 'incidents'], capture_output=True, text=True, timeout=20,
                               check=True).stdout
        wait_until(lambda: all(n['state'] == 'delivered' for n in service.notifications()), 10, 'the log has it')
        service.stop()
        for text in (shown, service.daemon.output()):
            for raw in ('\x1b', '\u009b', '\u202e'):
                self.assertNotIn(raw, text)
            self.assertIn(r'\u009b31m\u202e', text)


if __name__ == '__main__':
    main()
