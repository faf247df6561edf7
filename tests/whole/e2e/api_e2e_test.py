"""The API as a user walks through it; every answer is held to docs/api/incidentd.openapi.yaml by the support module."""

import json
import select
import socket
import time
from datetime import datetime, timedelta, timezone
from http.client import HTTPResponse

from e2e import API, Case, Response, main, wait_until


def ago(seconds):
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%SZ')


class AnyOperation(Case):
    """What any request may be answered with, at each operation that the document has."""

    def test_what_is_refused_before_the_operation_is_documented(self):
        service = self.incidentd()
        refused = [('?a=%zz', {}, 400), ('?a=' + 'a' * 8192, {}, 414), ('', {'X-Long': 'a' * 8193}, 400)]
        for template, operations in API.document['paths'].items():
            path = template.replace('{id}', 'inc_1').replace('{name}', 'store').replace('{action}', 'reset')
            for method in (m.upper() for m in operations if m in ('get', 'post')):
                for query, headers, status in refused:
                    with self.subTest(f'{method} {path}{query[:8]}', headers=len(headers)):
                        self.assertEqual(service.request(method, path + query, headers=headers).status, status)
                if method == 'GET':
                    with self.subTest(f'GET {path} with a body'):
                        self.assertEqual(service.request(method, path, body={}).status, 400)

    def test_who_is_cut_off_for_others_is_told_when_to_come_back(self):
        service = self.incidentd('[server]\nthreads = 1')
        with socket.create_connection(('127.0.0.1', service.port)) as hog:
            hog.sendall(f'POST /v1/alerts HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n'
                        'Content-Type: application/json\r\nContent-Length: 9\r\n\r\n'.encode())

            def is_answered():
                self.assertEqual(service.get('/v1/incidents').status, 200)  # others get the thread
                return select.select([hog], [], [], 0)[0]

            wait_until(is_answered, 20, 'the slow request is cut off')
            raw = HTTPResponse(hog)
            raw.begin()
            answer = Response(raw.status, raw.headers, raw.read())
        API.check('POST', service.url + '/v1/alerts', answer)
        self.assertEqual((answer.status, answer.headers['Retry-After']), (503, '1'))


class Inputs(Case):
    def setUp(self):
        super().setUp()
        self.service = self.incidentd()

    def one(self):
        incidents = self.service.incidents()
        self.assertEqual(len(incidents), 1)
        return self.service.get(f"/v1/incidents/{incidents[0]['id']}").json

    def test_native_alert_creates_updates_resolves_and_reopens(self):
        alert = {'title': 'Checkout answers 500', 'severity': 'critical', 'labels': {'service': 'checkout'},
                 'description': 'since the last release', 'source': 'curl', 'starts_at': ago(60)}
        first = self.service.post('/v1/alerts', alert).json
        self.assertEqual((first['status'], first['degraded']), ('created', False))
        self.assertEqual(self.service.post('/v1/alerts', alert).json, {**first, 'status': 'updated'})
        incident = self.one()
        self.assertEqual((incident['severity'], incident['state'], incident['title'], incident['source']),
                         ('P0', 'detected', 'Checkout answers 500', 'curl'))
        self.assertEqual(incident['annotations']['description'], 'since the last release')
        self.assertEqual(incident['alert_count'], 2)
        resolve = {**alert, 'status': 'resolved'}
        self.assertEqual(self.service.post('/v1/alerts', resolve).json['status'], 'resolved')
        self.assertEqual(self.service.post('/v1/alerts', resolve).json['status'], 'unchanged')
        self.assertEqual(self.service.post('/v1/alerts', alert).json['status'], 'unchanged',
                         'a late repeat reopens nothing')
        again = {**alert, 'starts_at': ago(0)}
        self.assertEqual(self.service.post('/v1/alerts', again).json, {**first, 'status': 'updated'})
        incident = self.one()
        self.assertEqual(incident['state'], 'detected')
        self.assertEqual([e['kind'] for e in incident['timeline']], ['created', 'resolved', 'reopened'])

    def test_a_batch_with_a_bad_alert_stores_the_others_and_names_the_bad_one(self):
        good = [{'labels': {'alertname': f'batch {n}'}, 'annotations': {'long': 'é' * 10_000}} for n in range(3)]
        batch = [good[0], {'labels': {'alertname': 3}}, *good[1:]]
        for path, body, field in (('/api/v2/alerts', batch, '[1].labels.alertname'),
                                  ('/v1/webhooks/alertmanager', {'version': '4', 'alerts': batch},
                                   'alerts[1].labels.alertname')):
            answer = self.service.post(path, body)
            self.assertEqual(answer.status, 400)
            API.check_problem(answer)
            self.assertEqual([e['field'] for e in answer.json['errors']], [field])
            self.assertEqual(len(self.service.incidents()), 3)
        self.assertTrue(self.service.incidents()[0]['annotations']['long'].endswith('é… (cut from 20000 bytes)'))
        self.service.post('/v1/alerts', {'title': 'x', 'starts_at': 'yesterday'})
        self.assertIn('incidentd_alerts_rejected_total{reason="times"} 1', self.service.get('/metrics').body.decode())
        self.assertIn('incidentd_alerts_rejected_total{reason="labels"} 2', self.service.get('/metrics').body.decode())

    def test_two_replicas_neither_hide_nor_keep_open_what_the_other_says(self):
        def send(start, end):
            alert = {'labels': {'alertname': 'HighLatency'}, 'startsAt': start, 'endsAt': end}
            self.assertEqual(self.service.post('/api/v2/alerts', [alert]).status, 200)
        first, second = ago(120), ago(60)
        send(first, ago(-240))
        send(second, ago(-240))
        send(first, ago(5))
        self.assertEqual(self.one()['state'], 'detected', 'the second replica fires')
        send(second, ago(-240))
        send(second, ago(4))
        self.assertEqual(self.one()['state'], 'resolved', 'nobody fires')
        send(first, ago(5))
        self.assertEqual(self.one()['state'], 'resolved')
        self.assertEqual([n['kind'] for n in reversed(self.service.notifications())],
                         ['incident.triggered', 'incident.resolved'])

    def test_words_for_severities(self):
        for word, severity in (('page', 'P0'), ('major', 'P1'), ('sev3', 'P2'), ('debug', 'P4'), ('spicy', 'P2')):
            self.service.post('/api/v2/alerts', [{'labels': {'alertname': word, 'severity': word}}])
            incident = next(i for i in self.service.incidents() if i['labels']['alertname'] == word)
            self.assertEqual(incident['severity'], severity)
        kinds = [e['kind'] for e in self.service.get(f"/v1/incidents/{incident['id']}").json['timeline']]
        self.assertEqual(kinds, ['created', 'severity_unknown'])
        self.assertIn('incidentd_alerts_unknown_severity_total 1', self.service.get('/metrics').body.decode())

    def test_a_webhook_says_how_many_alerts_it_left_out(self):
        body = {'version': '1', 'status': 'firing', 'truncatedAlerts': 7,
                'alerts': [{'status': 'firing', 'labels': {'alertname': 'Disk'}, 'startsAt': ago(30)}]}
        for _ in range(2):
            self.assertEqual(self.service.post('/v1/webhooks/alertmanager', body).status, 200)
        incident = self.one()
        self.assertEqual([e['kind'] for e in incident['timeline']], ['created', 'alerts_truncated'])
        self.assertEqual(incident['source'], 'grafana')
        self.assertIn('incidentd_alerts_truncated_total 14', self.service.get('/metrics').body.decode())

    def test_a_resolve_of_nothing_is_no_incident(self):
        answer = self.service.post('/v1/alerts', {'title': 'x', 'status': 'resolved'}).json
        self.assertEqual(answer, {'incident_id': None, 'status': 'unchanged', 'degraded': False})
        self.assertEqual(self.service.incidents(), [])

    def test_alertmanager_v2_takes_what_prometheus_sends(self):
        alert = {'labels': {'alertname': 'HighLatency', 'severity': 'warning', 'instance': 'a:1'},
                 'annotations': {'summary': 'p99 over 2 s'}, 'startsAt': ago(30), 'endsAt': ago(-240),
                 'generatorURL': 'http://prometheus/graph'}
        for _ in range(3):  # it sends again every minute
            self.assertEqual(self.service.post('/api/v2/alerts', [alert]).status, 200)
        incident = self.one()
        self.assertEqual((incident['severity'], incident['state'], incident['alert_count']), ('P2', 'detected', 3))
        for _ in range(3):  # and resolved ones for a quarter of an hour
            self.assertEqual(self.service.post('/api/v2/alerts', [{**alert, 'endsAt': ago(1)}]).status, 200)
        incident = self.one()
        self.assertEqual(incident['state'], 'resolved')
        self.assertEqual([n['kind'] for n in reversed(self.service.notifications())],
                         ['incident.triggered', 'incident.resolved'])
        self.assertEqual(self.service.post('/api/v2/alerts', []).status, 200)

    def test_alertmanager_webhook_takes_old_and_new_versions(self):
        alert = {'labels': {'alertname': 'Disk', 'severity': 'error'}, 'annotations': {}, 'startsAt': ago(30),
                 'endsAt': '0001-01-01T00:00:00Z', 'generatorURL': '', 'fingerprint': '0123', 'status': 'firing'}
        whole = {'version': '4', 'groupKey': '{}:{}', 'truncatedAlerts': 0, 'status': 'firing', 'receiver': 'x',
                 'groupLabels': {}, 'commonLabels': {}, 'commonAnnotations': {}, 'externalURL': 'http://am',
                 'alerts': [alert]}
        self.assertEqual(self.service.post('/v1/webhooks/alertmanager', whole).json['results'][0]['status'], 'created')
        old = {'status': 'resolved',
               'alerts': [{'labels': alert['labels'], 'startsAt': alert['startsAt'], 'endsAt': ago(1)}]}
        self.assertEqual(self.service.post('/v1/webhooks/alertmanager', old).json['results'][0]['status'], 'resolved')

    def test_text_of_any_language_survives(self):
        title = 'Ошибка 🚨 "quoted" \\ <script>alert(1)</script> \u0007'
        self.service.post('/v1/alerts', {'title': title, 'labels': {'größe': 'ñ'}})
        incident = self.one()
        self.assertEqual((incident['title'], incident['labels']['größe']), (title, 'ñ'))


class Upkeep(Case):
    def test_an_alert_whose_source_has_died_expires_and_comes_back_with_it(self):
        service = self.incidentd('[incidents]\nresend_period = "1s"\n')
        alert = {'labels': {'alertname': 'HighLatency'}, 'startsAt': ago(60)}
        native = service.post('/v1/alerts', {'title': 'without an end'}).json['incident_id']
        service.post('/api/v2/alerts', [{**alert, 'endsAt': ago(-2)}])

        def state():
            return {i['labels']['alertname']: i['state'] for i in service.incidents()}
        wait_until(lambda: state()['HighLatency'] == 'resolved', 30, 'nobody vouches for it')
        self.assertEqual(state()['without an end'], 'detected')
        incident = next(i for i in service.incidents() if i['id'] != native)
        last = service.get(f"/v1/incidents/{incident['id']}").json['timeline'][-1]
        self.assertEqual((last['kind'], last['actor']), ('resolved', 'system'))
        self.assertTrue(last['detail'].startswith('expired: the alert was not reported resolved'), last)

        service.post('/api/v2/alerts', [{**alert, 'endsAt': ago(-240)}])
        self.assertEqual(state()['HighLatency'], 'detected', 'its source is back')

    def test_repeats_are_shown_at_once_and_stored_at_the_stop(self):
        service = self.incidentd()
        alert = {'labels': {'alertname': 'HighLatency'}, 'startsAt': ago(60), 'endsAt': ago(-240)}
        for _ in range(4):
            service.post('/api/v2/alerts', [alert])
        before = service.incidents()[0]
        self.assertEqual((before['alert_count'], before['version']), (4, 1))
        service.stop()
        service.start()
        after = service.incidents()[0]
        self.assertEqual((after['alert_count'], after['last_seen']), (4, before['last_seen']))
        self.assertEqual(after['firings'], before['firings'])


class Incidents(Case):
    def setUp(self):
        super().setUp()
        self.service = self.incidentd()

    def test_lists_filter_and_page_newest_first(self):
        for n in range(25):
            self.service.post('/v1/alerts', {'title': f'Alert number {n}', 'severity': f'P{n % 5}',
                                             'labels': {'n': str(n), 'team': 'ab'[n % 2]}})
        newest_first = [i['labels']['n'] for i in self.service.incidents()]
        self.assertEqual(newest_first, [str(n) for n in reversed(range(25))])
        first = self.service.get('/v1/incidents?limit=10').json
        self.service.post('/v1/alerts', {'title': 'arrives between two pages', 'labels': {'n': '25'}})
        rest, cursor = [], first['next_cursor']
        while cursor:
            page = self.service.get(f'/v1/incidents?limit=10&cursor={cursor}').json
            rest += page['incidents']
            cursor = page['next_cursor']
        self.assertEqual([i['labels']['n'] for i in first['incidents'] + rest], newest_first)
        count = lambda query: len(self.service.all(f'/v1/incidents?{query}', 'incidents'))
        self.assertEqual(count('severity=P0'), 5)
        self.assertEqual(count('severity=P0,P1'), 10)
        self.assertEqual(count('label.team=a'), 13)
        self.assertEqual(count('label.team=a&severity=P0'), 3)
        self.assertEqual(count('q=NUMBER%202'), 6)
        self.assertEqual(count('q=%25'), 0)
        self.assertEqual(count('state=detected'), 26)
        self.assertEqual(count('state=resolved,closed'), 0)

    def test_an_operator_acknowledges_notes_and_resolves(self):
        id = self.service.post('/v1/alerts', {'title': 'x'}).json['incident_id']
        path = f'/v1/incidents/{id}'
        taken = self.service.post(f'{path}/acknowledge', {'actor': 'ada', 'note': 'looking'}, admin=True).json
        self.assertEqual(taken['state'], 'triaged')
        self.service.post(f'{path}/notes', {'actor': 'ada', 'note': 'a bad disk'}, admin=True)
        done = self.service.post(f'{path}/resolve', {'actor': 'ada'}, admin=True).json
        self.assertEqual(done['state'], 'resolved')
        self.assertEqual([(e['kind'], e['actor']) for e in done['timeline'][1:]],
                         [('acknowledged', 'admin:ada'), ('note', 'admin:ada'), ('resolved', 'admin:ada')])
        for action in ('acknowledge', 'resolve'):
            refused = self.service.post(f'{path}/{action}', {}, admin=True)
            self.assertEqual(refused.status, 409, refused)
        self.assertEqual(self.service.get(path).json, done)
        wait_until(lambda: all(n['state'] == 'delivered' for n in self.service.notifications()), 10, 'the log has them')
        kinds = [n['kind'] for n in reversed(self.service.get(f'{path}/notifications').json['notifications'])]
        self.assertEqual(kinds, ['incident.triggered', 'incident.acknowledged', 'incident.resolved'])

    def test_an_operator_moves_an_incident_through_every_state_and_back(self):
        path = f"/v1/incidents/{self.service.post('/v1/alerts', {'title': 'x'}).json['incident_id']}"
        every = ('acknowledge', 'unacknowledge', 'investigate', 'remediate', 'resolve', 'reopen', 'close')
        allowed = {'detected': {'acknowledge', 'investigate', 'remediate', 'resolve'},
                   'triaged': {'unacknowledge', 'investigate', 'remediate', 'resolve'},
                   'investigating': {'unacknowledge', 'remediate', 'resolve'},
                   'remediating': {'unacknowledge', 'resolve'},
                   'resolved': {'reopen', 'close'},
                   'closed': {'reopen'}}
        state = 'detected'
        for action, to in (('acknowledge', 'triaged'), ('unacknowledge', 'detected'), ('investigate', 'investigating'),
                           ('remediate', 'remediating'), ('unacknowledge', 'detected'), ('resolve', 'resolved'),
                           ('reopen', 'detected'), ('resolve', 'resolved'), ('close', 'closed'),
                           ('reopen', 'detected')):
            for refused in set(every) - allowed[state]:
                answer = self.service.post(f'{path}/{refused}', {}, admin=True)
                self.assertEqual(answer.status, 409, f'{refused} of {state}: {answer}')
            answer = self.service.post(f'{path}/{action}', {'actor': 'ada', 'note': f'to {to}'}, admin=True)
            self.assertEqual((answer.status, answer.json['state']), (200, to), answer)
            event = answer.json['timeline'][-1]
            self.assertEqual(event['actor'], 'admin:ada')
            self.assertIn(f'to {to}', event['detail'])
            state = to


class Delivery(Case):
    def test_a_dead_letter_says_why_and_goes_out_again(self):
        receiver = self.receiver().set(405)
        service = self.incidentd(f'''
[[destinations]]
name = "hook"
type = "webhook"
url = "{receiver.url}"
secret_env = "HOOK_SECRET"
allow_private_addresses = true
[[routes]]
to = ["hook"]
''')
        service.post('/v1/alerts', {'title': 'x'})
        dead = wait_until(lambda: service.get('/v1/notifications?state=dead').json['notifications'], 15,
                          'a dead letter')[0]
        self.assertEqual((dead['attempts'], dead['last_error']['status'], dead['next_attempt_at']), (1, 405, None))
        self.assertIn('405', dead['last_error']['message'])
        self.assertEqual(service.breaker('notify:hook')['state'], 'closed', 'a configuration error is neutral')
        counter = '_deliveries_total{{destination="hook",outcome="{}"}} {}\n'
        wait_until(lambda: counter.format('dead', 1) in service.metrics(), 10, 'the dead letter is counted')
        for outcome in ('delivered', 'retried', 'deferred'):
            self.assertIn(counter.format(outcome, 0), service.metrics())
        receiver.set(200)
        back = service.post(f"/v1/notifications/{dead['id']}/replay", admin=True)
        self.assertEqual((back.status, back.json['state']), (200, 'pending'))
        done = wait_until(lambda: service.get('/v1/notifications?state=delivered').json['notifications'], 15,
                          'delivered')[0]
        self.assertEqual((done['id'], done['attempts']), (dead['id'], 2))
        self.assertEqual([r['headers']['webhook-id'] for r in receiver.requests], [dead['id']] * 2)
        self.assertEqual(service.post(f"/v1/notifications/{dead['id']}/replay", admin=True).status, 409)

    def test_an_open_breaker_burns_no_attempt_and_a_slow_destination_delays_no_other(self):
        slow, fast = self.receiver().set('hang'), self.receiver()
        service = self.incidentd(''.join(f'''
[[destinations]]
name = "{name}"
type = "webhook"
url = "{r.url}"
secret_env = "HOOK_SECRET"
allow_private_addresses = true
max_in_flight = 1
''' for name, r in (('slow', slow), ('fast', fast))) + '[[routes]]\nto = ["slow", "fast"]\n')
        for n in range(20):
            service.post('/v1/alerts', {'title': f'alert {n}'})
        wait_until(lambda: len(fast.accepted()) == 20, 10, 'the fast one has all twenty')
        self.assertEqual(slow.accepted(), [])
        service.post('/v1/circuit-breakers/notify:slow/open', {'reason': 'test', 'actor': 'ada'}, admin=True)
        slow.set(200)
        time.sleep(1.5)  # long enough for many useless tries, if it made any
        waiting = service.get('/v1/notifications?destination=slow&limit=100').json['notifications']
        self.assertLessEqual(sum(n['attempts'] for n in waiting), 1)
        service.post('/v1/circuit-breakers/notify:slow/reset', {'reason': 'test'}, admin=True)
        wait_until(lambda: len(slow.accepted()) == 20, 40, 'the slow one has all twenty')


class Breakers(Case):
    def test_an_operator_controls_a_breaker_and_the_report_says_who_and_why(self):
        service = self.incidentd()
        names = [b['name'] for b in service.get('/v1/circuit-breakers').json['circuit_breakers']]
        self.assertEqual(names, sorted(names))
        self.assertIn('store', names)
        self.assertIn('notify:log', names)
        path = '/v1/circuit-breakers/notify:log'
        for action, state in (('open', 'forced_open'), ('reset', 'closed'), ('trip', 'open'), ('disable', 'disabled'),
                              ('metrics-only', 'metrics_only'), ('reset', 'closed')):
            answer = service.post(f'{path}/{action}', {'reason': 'a drill', 'actor': 'ada'}, admin=True)
            self.assertEqual((answer.status, answer.json['state']), (200, state))
            report = service.get(f'{path}/reports').json['reports'][0]
            self.assertEqual((report['to'], report['reason'], report['actor'], report['note']),
                             (state, 'operator_request', 'admin:ada', 'a drill'))
            self.assertEqual(answer.json['last_report'], report)
        service.post(f'{path}/open', admin=True)
        health = service.get('/v1/circuit-breakers/health').json
        self.assertEqual((health['healthy'], health['open']), (False, 1))
        everything = service.post('/v1/circuit-breakers/reset', {'reason': 'over'}, admin=True).json
        self.assertEqual({b['state'] for b in everything['circuit_breakers']}, {'closed'})

    def test_an_open_store_breaker_refuses_alerts_honestly(self):
        service = self.incidentd()
        service.post('/v1/circuit-breakers/store/open', admin=True)
        response = service.post('/v1/alerts', {'title': 'x'})
        self.assertEqual(response.status, 503)
        self.assertEqual(service.get('/readyz').status, 503)
        self.assertEqual(service.get('/livez').status, 200)
        self.assertEqual(service.get('/health').status, 503)
        service.post('/v1/circuit-breakers/store/reset', admin=True)
        self.assertEqual(service.incidents(), [])
        self.assertEqual(service.get('/readyz').status, 200)
        self.assertEqual(service.post('/v1/alerts', {'title': 'x'}).status, 200)


class ZDocument(Case):
    """Last by name: what the tests above have seen, against what the document promises."""

    def test_every_operation_of_the_document_was_answered_well(self):
        service = self.incidentd()
        for path in ('/livez', '/readyz', '/health', '/metrics'):
            self.assertEqual(service.get(path).status, 200)
        wanted = {(path, method.upper()) for path, item in API.document['paths'].items() for method in item
                  if method != 'parameters'}
        answered = {(path, method) for path, method, status in API.seen if status.startswith('2')}
        self.assertEqual(wanted - answered, set())


if __name__ == '__main__':
    main()
