"""Bad input on every route gets its 4xx problem and changes nothing."""

import http.client
import json
import socket

from e2e import ADMIN_TOKEN, API, Case, Response, main

INPUTS = ['/api/v2/alerts', '/v1/webhooks/alertmanager', '/v1/alerts']
GOOD = {'/api/v2/alerts': [{'labels': {'alertname': 'Good'}}],
        '/v1/webhooks/alertmanager': {'version': '4', 'status': 'firing',
                                      'alerts': [{'labels': {'alertname': 'Good'}}]},
        '/v1/alerts': {'title': 'Good'}}


def deep(levels):
    return b'{"labels": ' * levels + b'1' + b'}' * levels


def raw(service, method, path, body, headers):
    """A request as it is, byte for byte; a server that answers before it has read all is fine."""
    connection = http.client.HTTPConnection('127.0.0.1', service.port, timeout=15)
    try:
        connection.putrequest(method, path, skip_host='Host' in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader('Content-Length', str(len(body)))
        try:
            connection.endheaders(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered already
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class BadInput(Case):
    def setUp(self):
        super().setUp()
        self.service = self.incidentd('[server]\nmax_body_bytes = 1_000_000\n')
        self.incident = self.service.post('/v1/alerts', {'title': 'The one that is there'}).json['incident_id']
        self.before = self.state()

    def state(self):
        """All that a request could change."""
        breakers = {b['name']: (b['state'], b['trip_count'])
                    for b in self.service.get('/v1/circuit-breakers').json['circuit_breakers']}
        return (self.service.get(f'/v1/incidents/{self.incident}').json, self.service.incidents(),
                [(n['id'], n['kind']) for n in self.service.notifications()], breakers)

    def refused(self, method, path, body=b'', headers=None, status=(400, 422)):
        if '/v1/incidents/' in path and method == 'POST':
            headers = {'Authorization': f'Bearer {ADMIN_TOKEN}', **(headers or {})}
        headers = {'Content-Type': 'application/json', **(headers or {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        response = raw(self.service, method, path, body, headers)
        with self.subTest(method=method, path=path, body=body[:80]):
            self.assertIn(response.status, status, response)
            API.check_problem(response)
            self.assertTrue(response.json['detail'], 'says what is wrong')
        return response

    def tearDown(self):
        self.assertEqual(self.state(), self.before, 'bad input changed something')
        self.assertTrue(self.service.daemon.alive())
        self.assertEqual(self.service.get('/livez').status, 200)
        super().tearDown()

    def test_alert_inputs_refuse_what_is_not_json_of_the_right_shape(self):
        for path in INPUTS:
            for body in (b'', b'{', b'[1,', b'null', b'"text"', b'42', b'[[]]', b'[null]', b'{"alerts": 5}',
                         b'{"title": 7}', b'[{"labels": []}]', b'[{"labels": {"a": 1}}]', b'[{"labels": {}}]',
                         b'\xff\xfe', b'{"title": "\xc3\x28"}', b'[{"labels": {"a": "\xed\xa0\x80"}}]',
                         b'{"title": "x"} trailing', b'[' * 5000 + b']' * 5000, deep(5000)):
                self.refused('POST', path, body)

    def test_alert_inputs_refuse_wrong_fields_by_name(self):
        table = {
            '/v1/alerts': [({'title': 'x', 'severity': 3}, 'severity'),
                           ({'title': ''}, 'title'), ({}, 'title'), ({'title': 'x' * 2000}, 'title'),
                           ({'title': 'x', 'labels': {'a': 1}}, 'labels.a'), ({'title': 'x', 'labels': 'a'}, 'labels'),
                           ({'title': 'x', 'starts_at': 'yesterday'}, 'starts_at'),
                           ({'title': 'x', 'status': 'maybe'}, 'status'),
                           ({'title': 'x', 'unknown_field': 1}, 'unknown_field')],
            '/api/v2/alerts': [([{'labels': []}, {'labels': {'a': 1}}], '[1].labels.a'),
                               ([{'labels': {'a': 'b'}, 'startsAt': 'no'}], '[0].startsAt'),
                               ([{'annotations': {}}], '[0].labels')],
            '/v1/webhooks/alertmanager': [({'alerts': [{'labels': {'a': 'b'}, 'status': 'x'}]}, 'alerts[0].status'),
                                          ({'version': '5', 'alerts': []}, 'version'), ({}, 'alerts')],
        }
        for path, cases in table.items():
            for body, field in cases:
                response = self.refused('POST', path, json.dumps(body).encode())
                with self.subTest(path=path, body=str(body)[:80]):
                    self.assertIn(field, [e['field'] for e in response.json.get('errors', [])], response)

    def test_the_name_of_a_field_comes_back_shortened(self):
        answer = self.refused('POST', '/v1/alerts', json.dumps({'title': 'x', 'f' * 200_000: 1}).encode())
        self.assertLess(len(answer.body), 2_000)

    def test_a_body_of_five_megabytes_is_too_large(self):
        for path in [*INPUTS, f'/v1/incidents/{self.incident}/notes']:
            body = json.dumps({'title': 'x' * 5_000_000}).encode()
            self.refused('POST', path, body, status=(413,))

    def test_bodies_that_are_not_json_by_type_are_refused(self):
        for path in INPUTS:
            for kind in ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'):
                self.refused('POST', path, json.dumps(GOOD[path]).encode(), {'Content-Type': kind}, status=(415,))

    def test_bodies_without_a_type_are_refused_and_so_are_pages_of_other_origins(self):
        for path in [*INPUTS, f'/v1/incidents/{self.incident}/notes']:
            body = json.dumps(GOOD.get(path, {'note': 'x'})).encode()
            self.refused('POST', path, body, {'Content-Type': None}, status=(415,))
            self.refused('POST', path, body, {'Origin': 'https://evil.example'}, status=(403,))
            self.refused('POST', path, body, {'Origin': 'null'}, status=(403,))
            self.refused('POST', path, body, {'Sec-Fetch-Site': 'cross-site'}, status=(403,))
        for action in ('acknowledge', 'resolve'):  # what a form of a page can send unasked
            path = f'/v1/incidents/{self.incident}/{action}'
            self.refused('POST', path, b'', {'Content-Type': None, 'Origin': 'https://evil.example'}, status=(403,))
            self.refused('POST', path, b'', {'Content-Type': 'text/plain'}, status=(415,))
        for path in ('/v1/incidents', '/health', '/livez'):  # a name that was pointed at this address
            self.refused('GET', path, headers={'Host': f'evil.example:{self.service.port}'}, status=(403,))

    def test_unknown_ids_and_paths_are_not_found(self):
        unknown = 'inc_00000000000000000000000000'
        admin = {'Authorization': f'Bearer {ADMIN_TOKEN}'}
        for path in (f'/v1/incidents/{unknown}', f'/v1/incidents/{unknown}/notifications',
                     '/v1/circuit-breakers/nobody',
                     '/v1/circuit-breakers/nobody/reports', '/nowhere', '/v1', '/v1/incidents/a%00b',
                     '/v1/incidents/%ff%fe', '/v1/incidents/' + 'x' * 3000, '/..%2f..%2fetc/passwd'):
            self.refused('GET', path, status=(400, 404, 414))
        for path in (f'/v1/incidents/{unknown}/acknowledge', f'/v1/incidents/{unknown}/resolve'):
            self.refused('POST', path, b'{}', status=(404,))
        self.refused('POST', f'/v1/incidents/{unknown}/notes', b'{"note": "x"}', status=(404,))
        self.refused('POST', '/v1/circuit-breakers/nobody/reset', b'{}', admin, status=(404,))
        self.refused('POST', '/v1/circuit-breakers/store/explode', b'{}', admin, status=(404,))
        self.refused('POST', '/v1/notifications/msg_unknown/replay', b'', admin, status=(404,))

    def test_wrong_methods_are_refused(self):
        for method, path in (('GET', '/v1/alerts'), ('DELETE', '/v1/incidents'),
                             ('PUT', f'/v1/incidents/{self.incident}'),
                             ('POST', '/metrics'), ('PATCH', '/v1/circuit-breakers')):
            self.refused(method, path, b'', status=(404, 405))

    def test_queries_out_of_range_are_refused(self):
        for query in ('limit=0', 'limit=501', 'limit=-1', 'limit=x', 'limit=99999999999999999999', 'cursor=garbage',
                      'state=broken', 'severity=P7', 'nonsense=1', 'q=%ff'):
            self.refused('GET', f'/v1/incidents?{query}')
        for query in ('state=lost', 'limit=0', 'cursor=%00', 'nonsense=1'):
            self.refused('GET', f'/v1/notifications?{query}')

    def test_operators_bodies_are_checked(self):
        for action in ('acknowledge', 'resolve'):
            for body in (b'[]', b'{"actor": 5}', b'{"unknown": 1}', b'{', b'{"note": "' + b'x' * 20000 + b'"}'):
                self.refused('POST', f'/v1/incidents/{self.incident}/{action}', body)
        for body in (b'{}', b'{"note": ""}', b'{"note": 5}', b'', b'null'):
            self.refused('POST', f'/v1/incidents/{self.incident}/notes', body)

    def test_control_needs_the_admin_token(self):
        for path in ('/v1/circuit-breakers/reset', '/v1/circuit-breakers/store/open', '/v1/circuit-breakers/store/trip',
                     '/v1/circuit-breakers/store/disable', '/v1/circuit-breakers/store/metrics-only',
                     '/v1/circuit-breakers/store/reset', '/v1/notifications/msg_x/replay'):
            for headers in ({}, {'Authorization': 'Bearer wrong'}, {'Authorization': f'Basic {ADMIN_TOKEN}'},
                            {'Authorization': 'Bearer '}, {'Authorization': f'Bearer {ADMIN_TOKEN}x'}):
                response = self.refused('POST', path, b'{}', headers, status=(401,))
                self.assertIn('Bearer', response.headers['WWW-Authenticate'])
        for body in (b'[]', b'{"reason": 5}', b'{"unknown": 1}', b'{'):
            self.refused('POST', '/v1/circuit-breakers/store/open', body, {'Authorization': f'Bearer {ADMIN_TOKEN}'})

    def test_requests_that_are_not_http_do_no_harm(self):
        for data in (b'\x00\x01\x02\x03' * 100, b'GET\r\n\r\n',
                     b'POST /v1/alerts HTTP/1.1\r\nContent-Length: -5\r\n\r\n',
                     b'POST /v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{',
                     b'GET / HTTP/1.1\r\n' + b'X: ' + b'y' * 100000 + b'\r\n\r\n'):
            with socket.create_connection(('127.0.0.1', self.service.port), timeout=5) as s:
                try:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                    answer = s.recv(4096)
                except OSError:
                    answer = b''  # cut off, which is an answer too
                self.assertNotIn(b' 5', answer[:13])
                self.assertNotIn(b' 2', answer[:13])


class TokenUnset(Case):
    def test_without_a_configured_admin_token_admin_writes_answer_403(self):
        service = self.incidentd(env={'INCIDENTD_ADMIN_TOKEN': None})
        for headers in ({}, {'Authorization': 'Bearer '}, {'Authorization': 'Bearer x'}):
            response = service.post('/v1/circuit-breakers/store/open', {}, headers=headers)
            self.assertEqual(response.status, 403, response)
        self.assertEqual(service.breaker('store')['state'], 'closed')
        self.assertEqual(service.post('/v1/notifications/msg_x/replay').status, 403)
        incident = service.post('/v1/alerts', {'title': 'x'}).json['incident_id']
        taken = service.post(f'/v1/incidents/{incident}/acknowledge', {'actor': 'ada'})
        self.assertEqual((taken.status, taken.json['timeline'][-1]['actor']), (200, 'none:ada'), 'open on loopback')

    def test_a_configured_ingest_token_guards_the_inputs(self):
        service = self.incidentd(env={'INCIDENTD_INGEST_TOKEN': 'ingest'})
        for path in INPUTS:
            self.assertEqual(service.post(path, GOOD[path]).status, 401)
            self.assertEqual(service.post(path, GOOD[path], headers={'Authorization': 'Bearer wrong'}).status, 401)
        self.assertEqual(service.incidents(), [])
        for path in INPUTS:
            self.assertEqual(service.post(path, GOOD[path], headers={'Authorization': 'Bearer ingest'}).status, 200)
        self.assertEqual(len(service.incidents()), 1)

    def test_a_configured_operator_or_admin_token_guards_what_operators_do(self):
        for variable in ('INCIDENTD_ADMIN_TOKEN', 'INCIDENTD_OPERATOR_TOKEN'):
            service = self.incidentd(env={'INCIDENTD_ADMIN_TOKEN': None, variable: 'op'})
            incident = service.post('/v1/alerts', {'title': variable}).json['incident_id']
            for action in ('acknowledge', 'notes', 'resolve'):
                path = f'/v1/incidents/{incident}/{action}'
                body = {'note': 'x', 'actor': 'ada'}
                self.assertEqual(service.post(path, body).status, 401)
                self.assertEqual(service.post(path, body, token='wrong').status, 401)
            self.assertEqual(len(service.get(f'/v1/incidents/{incident}').json['timeline']), 1)
            for action in ('acknowledge', 'notes', 'resolve'):
                self.assertEqual(service.post(f'/v1/incidents/{incident}/{action}', body, token='op').status, 200)
            service.stop()

    def test_a_configured_read_token_guards_what_is_read(self):
        service = self.incidentd(env={'INCIDENTD_READ_TOKEN': 'reader'})
        incident = service.post('/v1/alerts', {'title': 'x'}).json['incident_id']
        for path in ('/v1/incidents', f'/v1/incidents/{incident}', '/v1/notifications', '/metrics', '/health',
                     '/v1/circuit-breakers', '/v1/circuit-breakers/store'):
            self.assertEqual(service.get(path).status, 401, path)
            self.assertEqual(service.get(path, token='wrong').status, 401, path)
            self.assertEqual(service.get(path, token='reader').status, 200, path)
            self.assertEqual(service.get(path, admin=True).status, 200, path)
        self.assertIn('checks', service.get('/health', token='reader').json)
        for path in ('/livez', '/readyz'):
            self.assertEqual(service.get(path).json, {'status': 'pass'})

    def test_who_comes_from_elsewhere_sees_no_details_of_health(self):
        service = self.incidentd()
        self.assertIn('checks', service.get('/health').json)
        self.assertEqual(service.get('/health', headers={'X-Forwarded-For': '203.0.113.9'}).json, {'status': 'pass'})


if __name__ == '__main__':
    main()
