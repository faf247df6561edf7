"""A real Prometheus and a real Alertmanager, a receiver that fails in every way, and nothing is lost."""

import datetime
import json
import os
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from e2e import SOURCE, WEBHOOK_SECRET, Case, free_port, header, http, main, signature_is_valid, wait_until

CONFIG = '''
[[destinations]]
name = "ops-hook"
type = "webhook"
url = "{url}"
secret_env = "HOOK_SECRET"
allow_private_addresses = true
max_in_flight = 2

[[routes]]
match = {{ labels = {{ team = "llm" }} }}
to = ["ops-hook"]

[breakers."notify:ops-hook"]
consecutive_failure_threshold = 2
success_threshold = 1
open_timeout = "500ms"
operation_timeout = "1s"
'''

BREAKER = 'notify:ops-hook'


def at(seconds):
    """A time of Unix as RFC 3339."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


class Exporter:
    """What Prometheus scrapes: two gauges that the test sets."""

    def __init__(self):
        self.values = {'checkout': 0, 'search': 0}
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = ''.join(f'demo_broken{{service="{k}"}} {v}\n' for k, v in exporter.values.items()).encode()
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain; version=0.0.4')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class AlertPath(Case):
    def start_alertmanager(self, service):
        port = free_port()
        config = self.folder / 'alertmanager.yml'
        config.write_text(f'''
route: {{receiver: incidentd, group_by: [alertname, service], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: incidentd
    webhook_configs: [{{url: "{service.url}/v1/webhooks/alertmanager", send_resolved: true}}]
''')
        self.daemon('alertmanager', ['prometheus-alertmanager', f'--config.file={config}',
                                     f'--storage.path={self.folder}/alertmanager',
                                     f'--web.listen-address=127.0.0.1:{port}', '--cluster.listen-address='])
        return port

    def start_prometheus(self, exporter, alertmanagers):
        port = free_port()
        rules = self.folder / 'rules.yml'
        rules.write_text('''
groups:
  - name: demo
    interval: 1s
    rules:
      - alert: ServiceBroken
        expr: demo_broken == 1
        labels: {severity: critical, team: llm}
        annotations: {summary: "{{ $labels.service }} is broken"}
''')
        config = self.folder / 'prometheus.yml'
        config.write_text(f'''
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs: [{{job_name: demo, static_configs: [{{targets: ["127.0.0.1:{exporter.port}"]}}]}}]
alerting:
  alertmanagers: [{{static_configs: [{{targets: {json.dumps([f'127.0.0.1:{p}' for p in alertmanagers])}}}]}}]
''')
        self.daemon('prometheus', ['prometheus', f'--config.file={config}', f'--storage.tsdb.path={self.folder}/tsdb',
                                   f'--web.listen-address=127.0.0.1:{port}', '--rules.alert.resend-delay=2s'])

    def test_two_replicas_behind_one_alertmanager_are_heard_while_one_of_them_fires(self):
        service = self.incidentd()
        alertmanager = self.start_alertmanager(service)
        wait_until(lambda: ready(f'http://127.0.0.1:{alertmanager}/-/ready'), 15, 'Alertmanager is ready')

        def send(start, ends_in):
            alert = {'labels': {'alertname': 'Replicated'}, 'startsAt': at(start), 'endsAt': at(ends_in)}
            self.assertEqual(http('POST', f'http://127.0.0.1:{alertmanager}/api/v2/alerts', [alert]).status, 200)

        def state_is(state):
            def reached():
                incidents = service.get('/v1/incidents').json['incidents']
                return [i['state'] for i in incidents] == [state]
            wait_until(reached, 15, f'the incident is {state}')

        began = time.time() - 60
        # The replica that fires on has the same start as the one that has ended, and then an earlier one.
        for start in (began, began, began - 15):
            send(start, time.time() + 240)
            state_is('detected')
            send(start, time.time())
            state_is('resolved')

    def test_an_alert_survives_every_way_a_receiver_can_fail(self):
        receiver = self.receiver().down()
        service = self.incidentd(CONFIG.format(url=receiver.url))
        exporter = Exporter()
        self.addCleanup(exporter.close)
        alertmanager = self.start_alertmanager(service)
        wait_until(lambda: ready(f'http://127.0.0.1:{alertmanager}/-/ready'), 15, 'Alertmanager is ready')
        # Straight to incidentd, and the second way through Alertmanager.
        self.start_prometheus(exporter, [service.port, alertmanager])

        exporter.values.update(checkout=1, search=1)
        wait_until(lambda: len(service.incidents()) == 2, 30, 'both alerts are incidents')

        # Down: connections are refused, the breaker opens and says why.
        breaker = wait_until(lambda: (b := service.breaker(BREAKER))['trip_count'] > 0 and b, 30, 'the breaker opens')
        report = service.get(f'/v1/circuit-breakers/{BREAKER}/reports').json['reports'][-1]
        self.assertEqual((report['from'], report['to'], report['reason']), ('closed', 'open', 'consecutive_failures'))
        self.assertEqual((report['threshold'], report['observed']), (2, 2))
        self.assertIn('2 consecutive failures', report['description'])
        health = service.get('/health')
        self.assertEqual(health.status, 200)
        self.assertEqual(health.json['status'], 'warn')

        # Hangs, answers 500, answers 429 with Retry-After: each is met at least once.
        receiver.set('hang').up()
        wait_until(lambda: receiver.requests, 40, 'a delivery meets the hanging receiver')
        for mode in ((500, {}), (429, {'Retry_After': '2'})):
            before = len(receiver.requests)
            receiver.set(mode[0], **mode[1])
            wait_until(lambda: any(r['status'] == mode[0] for r in receiver.requests[before:]), 60,
                       f'a delivery meets {mode[0]}')
        rate_limited_at = next(r['at'] for r in receiver.requests if r['status'] == 429)
        # The resolve comes while its trigger is still undelivered; both paths know of both alerts by now.
        wait_until(lambda: all(i['alert_count'] >= 2 for i in service.incidents()), 30, 'both paths have told of both')
        exporter.values.update(checkout=0)
        wait_until(lambda: [i for i in service.incidents() if i['state'] == 'resolved'], 60, 'checkout resolves')
        self.assertEqual(receiver.accepted(), [])

        receiver.set(200)
        wait_until(lambda: all(n['state'] == 'delivered' for n in service.notifications()), 90, 'all is delivered')
        exporter.values.update(search=0)
        wait_until(lambda: all(i['state'] == 'resolved' for i in service.incidents()), 60, 'search resolves')
        wait_until(lambda: all(n['state'] == 'delivered' for n in service.notifications()), 60, 'the last is delivered')

        # Exactly one incident per alert, although two paths told of each again and again.
        incidents = service.incidents()
        self.assertEqual(sorted(i['labels']['service'] for i in incidents), ['checkout', 'search'])
        for incident in incidents:
            self.assertEqual(incident['severity'], 'P0')
            self.assertEqual(incident['labels']['alertname'], 'ServiceBroken')

        # Each notification was delivered, once, with one id, a valid signature, the resolve after its trigger.
        accepted = receiver.accepted()
        order = {}
        for record in accepted:
            self.assertTrue(signature_is_valid(record))
            message = json.loads(record['body'])
            order.setdefault(message['data']['id'], []).append(message['type'])
        self.assertEqual(order, {i['id']: ['incident.triggered', 'incident.resolved'] for i in incidents})
        self.assertEqual(sorted(header(r, 'webhook-id') for r in accepted),
                         sorted(n['id'] for n in service.notifications()))
        # Every try of one notification carried the same id, the refused ones included.
        self.assertLessEqual({header(r, 'webhook-id') for r in receiver.requests},
                             {n['id'] for n in service.notifications()})
        self.assertGreaterEqual(min(r['at'] for r in accepted) - rate_limited_at, 1.9, 'Retry-After was kept')
        self.verify_with_npm(accepted)

        # The breaker recovered and says so; a second look at the log: every transition once, with its reason.
        breaker = service.breaker(BREAKER)
        self.assertEqual(breaker['state'], 'closed')
        reports = service.get(f'/v1/circuit-breakers/{BREAKER}/reports').json['reports']
        self.assertEqual((reports[0]['to'], reports[0]['reason']), ('closed', 'success_threshold_met'))
        log = service.daemon.output()
        self.assertIn('consecutive_failures', log)
        self.assertNotIn(WEBHOOK_SECRET, log)
        self.assertEqual(service.get('/health').json['status'], 'pass')

    def verify_with_npm(self, records):
        messages = [{'headers': {k.lower(): v for k, v in r['headers'].items()}, 'body': r['body'].decode()}
                    for r in records]
        command = ['node', SOURCE / 'tests' / 'whole' / 'e2e' / 'verify_webhooks.js']
        modules = str(SOURCE / 'tests' / 'node_modules')
        environment = {**os.environ, 'HOOK_SECRET': WEBHOOK_SECRET, 'NODE_PATH': modules}
        result = subprocess.run(command, input=json.dumps(messages), capture_output=True, text=True, env=environment)
        self.assertEqual((result.returncode, result.stdout.strip()), (0, str(len(records))), result.stderr)
        # The check can fail: one changed byte does not verify.
        messages[0]['body'] = messages[0]['body'].replace('incident', 'Incident', 1)
        result = subprocess.run(command, input=json.dumps(messages), capture_output=True, text=True, env=environment)
        self.assertNotEqual(result.returncode, 0)


def ready(url):
    try:
        return http('GET', url, timeout=2).status == 200
    except OSError:
        return False


if __name__ == '__main__':
    main()
