"""Starting, stopping, reloading, refusing a bad configuration: the operator's side of incidentd."""

import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from e2e import INCIDENTD, WEBHOOK_SECRET, Case, Daemon, http, main, wait_until

HOOK = '''
[[destinations]]
name = "hook"
type = "webhook"
url = "{url}"
secret_env = "HOOK_SECRET"
allow_private_addresses = true
[[routes]]
to = ["hook"]
'''


def open_files(pid):
    names = ''
    for fd in Path(f'/proc/{pid}/fd').iterdir():
        try:
            names += f'{os.readlink(fd)}\n'
        except FileNotFoundError:
            pass  # closed by now
    return names


class Operations(Case):
    def run_incidentd(self, *arguments, config=None, env=None):
        if config is not None:
            (self.folder / 'bad.toml').write_text(config)
            arguments = ('--config', self.folder / 'bad.toml', *arguments)
        return subprocess.run([INCIDENTD, *map(str, arguments)], capture_output=True, text=True, timeout=20,
                              cwd=self.folder, env={**os.environ, **(env or {})})

    def test_it_runs_with_no_configuration_at_all(self):
        where = self.folder / 'listen'
        daemon = self.daemon('incidentd', [INCIDENTD, '--listen', '127.0.0.1:0', '--listen-file', where],
                             cwd=self.folder)
        address = wait_until(lambda: where.exists() and where.read_text().strip(), 15, 'it is ready')
        self.assertEqual(http('POST', f'http://{address}/v1/alerts', {'title': 'first'}).status, 200)
        self.assertTrue((self.folder / 'data' / 'incidentd.db').exists())
        for word in ('/v1/alerts', '/health', '/metrics', 'curl', 'INCIDENTD_OPERATOR_TOKEN'):
            self.assertIn(word, daemon.output())
        self.assertEqual(daemon.stop(), 0)

    def test_sigterm_drains_and_stops_within_ten_seconds(self):
        receiver = self.receiver().set('hang')
        service = self.incidentd(HOOK.format(url=receiver.url))
        service.post('/v1/alerts', {'title': 'x'})
        wait_until(lambda: receiver.requests, 10, 'a delivery is in flight')
        started = time.monotonic()
        self.assertEqual(service.stop(), 0)
        self.assertLess(time.monotonic() - started, 10)
        receiver.set(200)
        service.start()
        wait_until(receiver.accepted, 10, 'the delivery goes on after the restart')
        self.assertEqual(len({r['headers']['webhook-id'] for r in receiver.requests}), 1)

    def test_a_send_that_is_under_way_at_a_stop_may_end(self):
        began = threading.Event()

        class Slow(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers['Content-Length']))
                began.set()
                time.sleep(1)
                self.send_response(200)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(('127.0.0.1', 0), Slow)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        service = self.incidentd(HOOK.format(url=f'http://127.0.0.1:{server.server_port}/hook'))
        service.post('/v1/alerts', {'title': 'x'})
        self.assertTrue(began.wait(10), 'the send has begun')
        self.assertEqual(service.stop(), 0)
        with sqlite3.connect(self.folder / 'data' / 'incidentd.db') as database:
            rows = database.execute('SELECT state, attempts FROM outbox').fetchall()
        self.assertEqual(rows, [(2, 1)], 'delivered at the first attempt')

    def test_a_page_goes_out_when_its_alert_is_stored_and_not_at_the_next_look(self):
        receiver = self.receiver()
        service = self.incidentd(HOOK.format(url=receiver.url))
        for number in range(3):
            began = time.monotonic()
            service.post('/v1/alerts', {'title': f'alert {number}'})
            wait_until(lambda: len(receiver.accepted()) == number + 1, 10, 'the page')
            self.assertLess(time.monotonic() - began, 3, 'looks that nobody asks for are 5 s apart')
            wait_until(lambda: all(n['state'] == 'delivered' for n in service.notifications()), 10, 'it is settled')

    def test_sighup_takes_a_good_file_and_refuses_a_bad_one(self):
        receiver = self.receiver()
        service = self.incidentd('[breakers."store"]\nopen_timeout = "7s"\n')
        service.config.write_text(HOOK.format(url=receiver.url))
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'notify:hook' in service.get('/v1/circuit-breakers').body.decode(), 10,
                   'the new destination')
        service.post('/v1/alerts', {'title': 'after the reload'})
        wait_until(receiver.accepted, 10, 'it is delivered')
        service.config.write_text(HOOK.format(url=receiver.url) + '[server]\nlisten = 5\nlisen = "x"\n')
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'lisen' in service.daemon.output(), 10, 'the refusal is logged')
        self.assertTrue(service.daemon.alive())
        service.post('/v1/alerts', {'title': 'still running'})
        wait_until(lambda: len(receiver.accepted()) == 2, 10, 'and still delivering')

    def test_sighup_during_the_start_is_a_reload_after_it(self):
        service = self.incidentd()
        service.stop()
        lock = sqlite3.connect(self.folder / 'data' / 'incidentd.db', isolation_level=None)
        lock.execute('BEGIN EXCLUSIVE')
        daemon = Daemon('incidentd', [INCIDENTD, '--config', service.config, '--listen', '127.0.0.1:0'],
                        self.folder / 'second.log', cwd=self.folder, env=service.env)
        self.addCleanup(daemon.stop)
        wait_until(lambda: 'incidentd.db' in open_files(daemon.process.pid), 10, 'the store is being opened')
        service.config.write_text('[log]\nlevel = "debug"\n')
        daemon.process.send_signal(signal.SIGHUP)
        lock.execute('COMMIT')
        lock.close()
        wait_until(lambda: 'changed=log.level' in daemon.output() or not daemon.alive(), 15, 'the reload')
        self.assertTrue(daemon.alive(), daemon.output())

    def test_a_folder_whose_name_is_not_utf_8_survives_sighup(self):
        where = os.fsdecode(b'caf\xe9')
        (self.folder / where).mkdir()
        service = self.incidentd('[store]\nurl = "sqlite:${WHERE}/x.db"\n', env={'WHERE': where})
        service.config.write_text('[store]\nurl = "sqlite:${WHERE}/x.db"\n[log]\nlevel = "debug"\n')
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'changed=log.level' in service.daemon.output() or not service.daemon.alive(), 10,
                   'the reload is logged')
        self.assertTrue(service.daemon.alive(), service.daemon.output())
        self.assertEqual(service.get('/v1/incidents').status, 200)

    def test_who_got_the_trigger_gets_the_resolve_although_a_reload_changed_the_routes(self):
        def hook(name, receiver):
            return HOOK.split('[[routes]]')[0].replace('"hook"', f'"{name}"').format(url=receiver.url)

        first, second = self.receiver(), self.receiver()
        both = hook('first', first) + hook('second', second) + '[[routes]]\n'
        service = self.incidentd(both + 'to = ["first"]\n')
        service.post('/v1/alerts', {'title': 'x'})
        wait_until(first.accepted, 10, 'the trigger')

        def reload(config):
            times = service.daemon.output().count(' reloaded')
            service.config.write_text(config)
            service.daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: service.daemon.output().count(' reloaded') > times, 10, 'it has reloaded')

        reload(both + 'to = ["second"]\n')
        incident = service.incidents()[0]
        self.assertEqual(incident['notified'], ['first'])
        service.post('/v1/alerts', {'title': 'x', 'status': 'resolved'})
        wait_until(lambda: len(first.accepted()) == 2 and second.accepted(), 10, 'the resolve, to both')
        self.assertEqual([json.loads(r['body'])['type'] for r in first.accepted()],
                         ['incident.triggered', 'incident.resolved'])
        for record in first.accepted() + second.accepted():
            self.assertEqual(json.loads(record['body'])['data']['notified'], [], 'receivers do not learn of each other')
        self.assertEqual(service.get(f'/v1/incidents/{incident["id"]}').json['notified'], ['first', 'second'])

        # Without the first destination nothing is drafted that nobody would ever send.
        reload(hook('second', second))
        self.assertEqual(service.post('/v1/alerts', {'title': 'x'}).json['status'], 'updated')
        wait_until(lambda: len(second.accepted()) == 2, 10, 'the reopening')
        wait_until(lambda: all(n['state'] == 'delivered' for n in service.notifications()), 10, 'nothing waits')
        self.assertEqual(len(first.accepted()), 2)

    def test_a_delivery_is_one_line_of_the_log(self):
        receiver = self.receiver()
        hook, routes = HOOK.format(url=receiver.url).split('[[routes]]')
        service = self.incidentd(hook + '[[routes]]' + routes.replace('["hook"]', '["hook", "log"]'))
        service.post('/v1/alerts', {'title': 'x'})
        wait_until(lambda: all(n['state'] == 'delivered' for n in service.notifications()), 10, 'both are delivered')
        delivered = {n['id']: n['destination'] for n in service.notifications()}
        self.assertEqual(sorted(delivered.values()), ['hook', 'log'])
        service.stop()  # all is written
        lines = service.daemon.output().splitlines()
        for notification, destination in delivered.items():
            self.assertEqual([destination, len([line for line in lines if notification in line])], [destination, 1],
                             lines)

    def test_a_bad_configuration_exits_2_naming_every_line_and_field(self):
        result = self.run_incidentd('--check', config='''[server]
listen = "nowhere"
max_body_bytes = -1
[stor]
url = "sqlite:x"
[[destinations]]
name = "a"
type = "webhok"
[breakers."store"]
open_timeout = "soon"
''')
        self.assertEqual(result.returncode, 2)
        for line, field in ((2, 'server.listen'), (3, 'server.max_body_bytes'), (4, 'stor'), (8, 'type'),
                            (10, 'open_timeout')):
            self.assertRegex(result.stdout + result.stderr, rf'bad\.toml:{line}:.*{field}')
        self.assertEqual(self.run_incidentd('--config', 'missing.toml').returncode, 2)
        self.assertEqual(self.run_incidentd(config='this is not TOML').returncode, 2)
        self.assertEqual(self.run_incidentd('--nonsense').returncode, 2)

    def test_a_public_address_without_tokens_is_refused(self):
        public = '[server]\nlisten = "0.0.0.0:8080"\n'
        tokens = {f'INCIDENTD_{name}_TOKEN': name.lower() for name in ('INGEST', 'READ', 'OPERATOR')}
        self.assertEqual(self.run_incidentd('--check', config=public, env=tokens).returncode, 0)
        for name in tokens:
            result = self.run_incidentd('--check', config=public, env={k: v for k, v in tokens.items() if k != name})
            self.assertEqual(result.returncode, 2)
            self.assertRegex(result.stderr, rf'bad\.toml:2: server\.listen: .*{name}')

    def test_a_token_variable_that_is_named_but_not_there_is_a_mistake(self):
        for line in ('ingest_token_env = "NOT_SET_AT_ALL"', 'ingest_token_env = "EMPTY_ONE"', 'read_token = ""'):
            result = self.run_incidentd('--check', config=f'[server]\n{line}\n', env={'EMPTY_ONE': ''})
            self.assertEqual(result.returncode, 2, line)
            self.assertRegex(result.stderr, rf'bad\.toml:2: server\.{line.split(" ")[0]}: ')
        result = self.run_incidentd('--check', env={'INCIDENTD_INGEST_TOKEN': ''})
        self.assertEqual(result.returncode, 2)
        self.assertIn('INCIDENTD_INGEST_TOKEN is set but empty', result.stderr)

    def test_sighup_never_opens_what_was_closed(self):
        closed = '[server]\ningest_token = "in"\nread_token = "reader"\noperator_token = "op"\n'
        service = self.incidentd(closed, env={'INCIDENTD_ADMIN_TOKEN': None})

        def check_closed():
            self.assertEqual(service.post('/v1/alerts', {'title': 'x'}).status, 401)
            self.assertEqual(service.get('/v1/incidents').status, 401)
            self.assertEqual(service.post('/v1/incidents/inc_x/resolve', {}).status, 401)

        check_closed()
        for lost in ('ingest', 'read', 'operator'):
            fewer = ''.join(line for line in closed.splitlines(True) if lost not in line)
            service.config.write_text(fewer + '[breakers.store]\nenabled = false\n')
            times = service.daemon.output().count('reload_refused')
            service.daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: service.daemon.output().count('reload_refused') > times, 10, 'the reload is refused')
            self.assertIn(f'there is no {lost} token', service.daemon.output())
            check_closed()
            store = service.get('/v1/circuit-breakers/store', token='reader').json
            self.assertEqual(store['state'], 'closed', 'nothing of a refused file is in effect')
        service.config.write_text(closed.replace('"in"', '"in2"'))
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: ' reloaded' in service.daemon.output(), 10, 'it has reloaded')
        self.assertEqual(service.post('/v1/alerts', {'title': 'x'}, token='in').status, 401)
        self.assertEqual(service.post('/v1/alerts', {'title': 'x'}, token='in2').status, 200)

    def test_who_did_what_is_in_the_log(self):
        receiver = self.receiver().set(400)
        service = self.incidentd(HOOK.format(url=receiver.url), env={'INCIDENTD_OPERATOR_TOKEN': 'op'})
        incident = service.post('/v1/alerts', {'title': 'x'}).json['incident_id']
        service.post(f'/v1/incidents/{incident}/acknowledge', {'actor': 'anna'}, token='op')
        dead = wait_until(lambda: service.get('/v1/notifications?state=dead').json['notifications'], 15,
                          'a dead letter')[-1]
        service.post('/v1/circuit-breakers/notify:hook/trip', {'actor': 'anna', 'reason': 'a drill'}, admin=True)
        service.post(f"/v1/notifications/{dead['id']}/replay", {'actor': 'anna', 'note': 'again'}, token='op')
        service.stop()
        log = service.daemon.output()
        self.assertRegex(log, rf'incident change=acknowledged id={incident} .*actor=operator:anna')
        self.assertRegex(log, r'breaker_transition name=notify:hook .*actor=admin:anna')
        self.assertRegex(log, rf"notification_replayed id={dead['id']} .*actor=operator:anna note=again")

    def test_check_prints_the_effective_configuration_without_secrets(self):
        result = self.run_incidentd('--check',
                                    config=HOOK.format(url='https://user:hunter2@hooks.example/T0/secret-path'),
                                    env={'HOOK_SECRET': WEBHOOK_SECRET, 'INCIDENTD_ADMIN_TOKEN': 'the-admin-token'})
        self.assertEqual(result.returncode, 0, result.stderr)
        for word in ('listen', '127.0.0.1:8080', 'sqlite:data/incidentd.db', 'hook'):
            self.assertIn(word, result.stdout)
        for secret in (WEBHOOK_SECRET, 'the-admin-token', 'hunter2', 'secret-path'):
            self.assertNotIn(secret, result.stdout + result.stderr)

    def test_a_taken_port_is_named(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = self.run_incidentd('--listen', f'127.0.0.1:{port}')
        self.assertEqual(result.returncode, 1)
        self.assertIn(str(port), result.stderr + result.stdout)

    def test_sighup_takes_a_renewed_certificate(self):
        def renew():
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                            '-keyout', 'key.pem', '-out', 'certificate.pem', '-days', '1', '-subj', '/CN=fusebox'],
                           cwd=self.folder, check=True, capture_output=True, timeout=20)

        def served():
            return ssl.get_server_certificate(('127.0.0.1', service.port)).strip()

        def certificate():
            return (self.folder / 'certificate.pem').read_text().strip()

        renew()
        service = self.incidentd('[server]\ntls_certificate = "certificate.pem"\ntls_key = "key.pem"\n')
        first = certificate()
        self.assertEqual(served(), first)
        renew()
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: ' reloaded ' in service.daemon.output(), 10, 'it has reloaded')
        second = certificate()
        self.assertNotEqual(first, second)
        self.assertEqual(served(), second)
        serial = subprocess.run(['openssl', 'x509', '-in', 'certificate.pem', '-noout', '-serial'], cwd=self.folder,
                                check=True, capture_output=True, text=True, timeout=20).stdout.strip().split('=')[1]
        line = next(line for line in service.daemon.output().splitlines() if ' reloaded ' in line)
        self.assertRegex(line, f'server.tls_certificate \\(serial 0*{serial}, valid until 20')
        # A key that does not belong to the certificate is a mistake, and the pair in use stays.
        key = (self.folder / 'key.pem').read_text()
        renew()
        (self.folder / 'key.pem').write_text(key)
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'reload_refused' in service.daemon.output(), 10, 'the refusal is logged')
        self.assertIn('does not belong to the certificate', service.daemon.output())
        self.assertEqual(served(), second)

    def test_a_second_incidentd_on_the_same_store_does_not_start(self):
        service = self.incidentd()
        started = time.monotonic()
        second = self.run_incidentd('--listen', '127.0.0.1:0')
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(second.returncode, 1, second.stderr)
        self.assertIn(f'another incidentd (process {service.daemon.process.pid}) uses the store', second.stderr)
        self.assertEqual(service.post('/v1/alerts', {'title': 'x'}).status, 200)
        service.kill()
        service.start()

    def test_it_is_not_ready_once_the_file_of_its_store_is_another_one(self):
        service = self.incidentd()
        service.post('/v1/alerts', {'title': 'before'})
        file, aside = self.folder / 'data' / 'incidentd.db', self.folder / 'aside.db'
        self.assertEqual(service.get('/readyz').status, 200)
        file.rename(aside)
        wait_until(lambda: service.get('/readyz').status == 503, 5, 'the file is missed')
        self.assertIn('moved, deleted or replaced', service.get('/readyz').json['output'])
        file.write_bytes(aside.read_bytes())
        time.sleep(1.1)  # the answer serves for a second
        self.assertEqual(service.get('/readyz').status, 503, 'another file of the same name')
        aside.rename(file)
        wait_until(lambda: service.get('/readyz').status == 200, 5, 'the file is back')

    def test_an_alert_that_expires_says_so_in_the_log(self):
        service = self.incidentd('[incidents]\nresend_period = "1s"\n')
        end = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 2))
        labels = {'alertname': 'Gone', 'severity': 'nobody-knows'}
        self.assertEqual(service.post('/api/v2/alerts', [{'labels': labels, 'endsAt': end}]).status, 200)
        line = wait_until(lambda: next((line for line in service.daemon.output().splitlines()
                                        if ' incident_expired ' in line), None), 40, 'the alert expires')
        self.assertRegex(line, r'warning incident_expired id=inc_\w+ reason="expired: the alert was not reported')
        self.assertIn('[incidents.severity_map]', service.daemon.output())

    def test_sigterm_ends_a_start_that_waits_for_the_store(self):
        database = sqlite3.connect(self.folder / 'locked.db', isolation_level=None)
        self.addCleanup(database.close)
        database.execute('BEGIN EXCLUSIVE')
        (self.folder / 'x.toml').write_text('[store]\nurl = "sqlite:locked.db"\n')
        daemon = self.daemon('waiting', [INCIDENTD, '--config', 'x.toml', '--listen', '127.0.0.1:0'], cwd=self.folder)
        files = f'/proc/{daemon.process.pid}/fd'
        wait_until(lambda: any(os.path.realpath(f'{files}/{fd}').endswith('locked.db') for fd in os.listdir(files)), 10,
                   'it has the file of its store open')
        self.assertTrue(daemon.alive(), daemon.output())
        started = time.monotonic()
        self.assertEqual(daemon.stop(), 1)
        self.assertLess(time.monotonic() - started, 1.5)
        self.assertIn('stopped_before_it_ran', daemon.output())

    def test_health_mentions_damage_in_the_database(self):
        service = self.incidentd()
        for n in range(20):
            service.post('/v1/alerts', {'title': f'alert {n}'})
        self.assertNotIn('store:damage', service.get('/health').json['checks'])
        service.stop()
        database = self.folder / 'data' / 'incidentd.db'
        content = bytearray(database.read_bytes())
        for page in range(4096, len(content), 4096):  # those with the incidents in them
            if b'alert 1' in content[page:page + 4096]:
                content[page:page + 4096] = b'\xff' * 4096
        database.write_bytes(content)
        service.start()
        service.get('/v1/incidents')

        def damage():
            return service.get('/health').json['checks'].get('store:damage')

        self.assertEqual(wait_until(damage, 10, 'the damage is mentioned')[0]['status'], 'warn')

    def test_health_answers_within_a_second_while_the_database_is_locked(self):
        service = self.incidentd()
        self.assertEqual(service.get('/readyz').status, 200)
        database = sqlite3.connect(self.folder / 'data' / 'incidentd.db', isolation_level=None)
        self.addCleanup(database.close)
        database.execute('BEGIN IMMEDIATE')
        time.sleep(1.1)  # the answer from before the lock serves for a second
        for path in ('/health', '/readyz', '/livez'):
            started = time.monotonic()
            answer = service.get(path)
            self.assertLess(time.monotonic() - started, 1)
            self.assertEqual(answer.status, 200 if path == '/livez' else 503, path)
        self.assertIn('cannot be written', service.get('/health').json['checks']['ready'][0]['output'])
        database.execute('ROLLBACK')
        wait_until(lambda: service.get('/readyz').status == 200, 10, 'it is ready again')

    def test_the_log_never_holds_a_secret(self):
        receiver = self.receiver().set(500)
        service = self.incidentd(HOOK.format(url=receiver.url + '/path-that-is-secret'))
        service.post('/v1/alerts', {'title': 'x'})
        service.post('/v1/circuit-breakers/store/open', {}, headers={'Authorization': 'Bearer guessed-token'})
        wait_until(lambda: receiver.requests, 10, 'a failed delivery')
        wait_until(lambda: service.notifications()[0]['last_error'], 10, 'its error is shown')
        seen = service.daemon.output() + str(service.notifications())
        for secret in (WEBHOOK_SECRET, 'path-that-is-secret', 'guessed-token', 'admin-token-for-tests'):
            self.assertNotIn(secret, seen)


if __name__ == '__main__':
    main()
