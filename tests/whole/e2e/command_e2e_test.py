"""The fusebox command against a running incidentd."""

import contextlib
import json
import os
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from e2e import ADMIN_TOKEN, FUSEBOX, Case, main, wait_until


class Command(Case):
    def setUp(self):
        super().setUp()
        self.service = self.incidentd()
        self.token = self.folder / 'token'
        self.token.write_text(ADMIN_TOKEN + '\n')
        self.token.chmod(0o600)

    def fusebox(self, *arguments, code=0, token=False, env=None):
        options = ['--url', self.service.url] + (['--token-file', str(self.token)] if token else [])
        result = subprocess.run([FUSEBOX, *options, *arguments], capture_output=True, text=True, timeout=20,
                                cwd=self.folder,
                                env={k: v for k, v in os.environ.items() if k != 'FUSEBOX_TOKEN'} | (env or {}))
        self.assertEqual(result.returncode, code, f'{arguments}: {result.stdout}{result.stderr}')
        self.assertNotIn('\x1b', result.stdout + result.stderr, 'no colours where there is no terminal')
        self.assertNotIn(ADMIN_TOKEN, result.stdout + result.stderr)
        return result

    def test_it_lists_shows_opens_and_resets_breakers(self):
        self.assertRegex(self.fusebox('list').stdout, r'store\s+closed')
        self.assertEqual([b['name'] for b in json.loads(self.fusebox('--json', 'list').stdout)['circuit_breakers']],
                         ['notify:log', 'store', 'store-reads'])
        self.assertIn('closed', self.fusebox('show', 'store').stdout)
        self.fusebox('health')
        refused = self.fusebox('open', 'notify:log', code=2)
        self.assertIn('--token-file', refused.stderr)
        self.fusebox('open', 'notify:log', token=True)
        self.assertEqual(self.service.breaker('notify:log')['state'], 'forced_open')
        self.assertIn('forced_open', self.fusebox('list', code=1).stdout)
        self.assertIn('notify:log', self.fusebox('health', code=1).stdout)
        self.assertEqual(json.loads(self.fusebox('--json', 'show', 'notify:log', code=1).stdout)['state'],
                         'forced_open')
        self.fusebox('reset', 'notify:log', 'store', token=True)
        self.fusebox('list')
        unknown = self.fusebox('show', 'nobody', code=2)
        self.assertIn('nobody', unknown.stderr)

    def test_it_shows_incidents_and_replays_notifications(self):
        id = self.service.post('/v1/alerts', {'title': 'Checkout is down', 'severity': 'P0'}).json['incident_id']
        self.assertIn('No open incident matches', self.fusebox('incidents', '--q', 'nothing like it').stdout)
        table = self.fusebox('incidents').stdout
        self.assertIn('Checkout is down', table)
        self.assertIn(id, table)
        self.assertEqual(json.loads(self.fusebox('--json', 'incidents').stdout)['incidents'][0]['id'], id)
        wait_until(lambda: self.service.notifications()[0]['state'] == 'delivered', 10, 'delivered')
        message = self.service.notifications()[0]['id']
        self.assertIn(message, self.fusebox('notifications').stdout)
        self.assertNotIn(message, self.fusebox('notifications', '--dead').stdout)
        self.assertIn('delivered', self.fusebox('replay-notification', message, code=2, token=True).stderr)

    def test_an_operator_takes_an_incident_from_open_to_resolved(self):
        id = self.service.post('/v1/alerts', {'title': 'Checkout is down', 'severity': 'P0',
                                              'labels': {'team': 'pay'}}).json['incident_id']
        refused = self.fusebox('ack', id, code=2)
        self.assertIn('--token-file', refused.stderr)
        self.assertRegex(self.fusebox('ack', id, '--note', 'looking', token=True).stdout, f'{id}: P0, triaged')
        self.fusebox('note', id, 'a bad disk', token=True)
        shown = self.fusebox('show-incident', id).stdout
        for part in ('team = pay', 'Checkout is down', 'acknowledged', 'admin:', 'looking', 'a bad disk'):
            self.assertIn(part, shown)
        self.assertRegex(shown, r'alert +fires since ')
        self.assertEqual(json.loads(self.fusebox('--json', 'resolve', id, token=True).stdout)['state'], 'resolved')
        self.assertRegex(self.fusebox('show-incident', id).stdout, r'alert +fires since .*, not reported resolved')
        for command, state in (('reopen', 'detected'), ('investigate', 'investigating'), ('remediate', 'remediating'),
                               ('unack', 'detected'), ('resolve', 'resolved'), ('close', 'closed')):
            self.assertIn(f'{id}: P0, {state}', self.fusebox(command, id, token=True).stdout)
        self.assertIn('cannot be', self.fusebox('ack', id, code=2, token=True).stderr)
        self.assertIn('404', self.fusebox('show-incident', 'inc_unknown', code=2).stderr)

    def test_what_is_open_comes_first(self):
        ids = [self.service.post('/v1/alerts', {'title': f'alert {n}', 'severity': f'P{n}',
                                                'labels': {'n': str(n)}}).json['incident_id'] for n in range(4)]
        for id in ids[2:]:
            self.fusebox('resolve', id, token=True)

        def listed(*options):
            return [i['id'] for i in json.loads(self.fusebox('--json', 'incidents', *options).stdout)['incidents']]

        self.assertEqual(listed(), [ids[1], ids[0]])
        self.assertEqual(listed('--all'), [ids[1], ids[0], ids[3], ids[2]])
        self.assertEqual(listed('--all', '--limit', '3'), [ids[1], ids[0], ids[3]])
        self.assertEqual(listed('--state', 'resolved'), [ids[3], ids[2]])
        self.assertEqual(listed('--q', 'ALERT 1'), [ids[1]])
        self.assertEqual(listed('--label', 'n=0'), [ids[0]])
        self.assertEqual(listed('--severity', 'P0,P3', '--all'), [ids[0], ids[3]])
        self.assertIn('NAME=VALUE', self.fusebox('incidents', '--label', 'n', code=2).stderr)
        for id in ids[:2]:
            self.fusebox('resolve', id, token=True)
        self.assertIn('--all', self.fusebox('incidents').stdout)

    def test_it_copies_the_store_of_a_running_service(self):
        stored = [self.service.post('/v1/alerts', {'title': f'Alert {i}', 'labels': {'n': str(i)}}).json['incident_id']
                  for i in range(20)]
        store = 'sqlite:' + str(self.folder / 'data' / 'incidentd.db')
        copy = self.folder / 'copies' / 'monday.db'
        self.assertIn(str(copy), self.fusebox('backup', str(copy), '--store', store).stdout)
        with contextlib.closing(sqlite3.connect(f'file:{copy}?mode=ro', uri=True)) as opened:
            self.assertEqual({row[0] for row in opened.execute('SELECT id FROM incidents')}, set(stored))
            self.assertEqual(opened.execute('PRAGMA integrity_check').fetchone(), ('ok',))
        again = self.fusebox('backup', str(copy), '--store', store, code=2)
        self.assertIn('exists already', again.stderr)
        missing = self.fusebox('backup', str(self.folder / 'other.db'), '--store', 'sqlite:none.db', code=2)
        self.assertIn('none.db', missing.stderr)
        self.assertIn('store.url', missing.stderr)
        self.assertFalse((self.folder / 'other.db').exists())

    def test_it_trusts_the_authority_that_it_is_given(self):
        def openssl(*arguments):
            subprocess.run(['openssl', *arguments], cwd=self.folder, check=True, capture_output=True, timeout=20)

        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
                '-subj', '/CN=fusebox', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'key.pem',
                '-out', 'certificate.pem')
        self.service.stop()
        self.service.config.write_text('[server]\ntls_certificate = "certificate.pem"\ntls_key = "key.pem"\n')
        self.service.start()
        plain = self.service.url
        self.assertIn('https://', self.fusebox('list', code=2).stderr)
        self.service.url = plain.replace('http:', 'https:')
        self.assertIn('--ca-file', self.fusebox('list', code=2).stderr)
        certificate = str(self.folder / 'certificate.pem')
        self.assertIn('store', self.fusebox('--ca-file', certificate, 'list').stdout)
        self.assertIn('store', self.fusebox('list', env={'FUSEBOX_CA_FILE': certificate}).stdout)
        missing = self.fusebox('--ca-file', 'none.pem', 'list', code=2).stderr
        self.assertIn('none.pem', missing)
        self.assertNotIn('the answer is not', missing)
        self.service.url = plain.removeprefix('http://')
        self.assertIn(f'https://{self.service.url}', self.fusebox('list', code=2).stderr)

    def test_one_replay_that_is_refused_does_not_keep_the_others(self):
        receiver = self.receiver().set(400)
        self.service.stop()
        self.service.config.write_text('[[destinations]]\nname = "hook"\ntype = "webhook"\n'
                                       f'url = "{receiver.url}"\nallow_private_addresses = true\n')
        self.service.start()
        for n in range(2):
            self.service.post('/v1/alerts', {'title': f'alert {n}', 'severity': 'P0', 'labels': {'n': str(n)}})

        def dead():
            found = [n for n in self.service.notifications() if n['state'] == 'dead']
            return found if len(found) == 2 else None

        ids = [n['id'] for n in wait_until(dead, 10, 'both are dead letters')]
        health = self.fusebox('health', code=1, token=True).stdout
        self.assertRegex(health, r'destination:hook +warn +2 could not be delivered: fusebox notifications --dead')
        listed = self.fusebox('notifications', '--dead', '--destination', 'hook').stdout
        self.assertIn(self.service.incidents()[0]['id'], listed)
        receiver.set(200)
        replayed = self.fusebox('replay-notification', ids[0], 'msg_unknown', ids[1], code=2, token=True)
        self.assertIn('msg_unknown', replayed.stderr)
        self.assertEqual(replayed.stdout.count('DESTINATION'), 1)
        for id in ids:
            self.assertIn(id, replayed.stdout)
        wait_until(lambda: len(receiver.accepted()) == 2, 10, 'both went out')
        wait_until(lambda: 'destination:hook' not in self.service.get('/health').json['checks'], 10, 'all is well')

    def test_a_mistyped_command_is_named_beside_those_there_are(self):
        mistyped = self.fusebox('lsit', code=2).stderr
        self.assertIn("fusebox: there is no command 'lsit'. Commands: list show health", mistyped)
        self.assertIn('check-config', mistyped)
        self.assertIn('fusebox: which command? Commands: list', self.fusebox(code=2).stderr)
        self.assertIn("there is no option '--bogus'", self.fusebox('--bogus', code=2).stderr)
        self.assertIn('--bogus', self.fusebox('list', '--bogus', code=2).stderr)
        self.assertIn('NAME', self.fusebox('show', code=2).stderr)

    def test_an_answer_that_is_nested_without_end_is_refused(self):
        deep = b'[' * 1_000_000 + b']' * 1_000_000

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = b'{"incidents":[{"id":' + deep + b'}],"next_cursor":null}'
                self.send_response(200)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        for command in (['incidents'], ['--json', 'incidents'], ['health'], ['ack', 'x']):
            ended = subprocess.run([FUSEBOX, '--url', f'http://127.0.0.1:{server.server_port}', *command],
                                   capture_output=True, text=True, timeout=30)
            self.assertEqual(ended.returncode, 2, command)
            self.assertIn('nested too deeply', ended.stderr)

    def test_check_config_needs_no_server(self):
        good, bad = self.folder / 'good.toml', self.folder / 'bad.toml'
        good.write_text('[server]\nlisten = "127.0.0.1:9000"\n')
        bad.write_text('[server]\nlisten = "127.0.0.1:9000"\nlisten_adress = 1\n')
        self.service.stop()
        self.fusebox('check-config', str(good))
        self.assertIn('bad.toml:3', self.fusebox('check-config', str(bad), code=2).stderr)
        self.assertIn('127.0.0.1', self.fusebox('list', code=2).stderr)


if __name__ == '__main__':
    main()
