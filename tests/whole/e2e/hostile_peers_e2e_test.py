"""Peers that mean harm, against the whole service: it answers, keeps its memory, and goes on."""

import gzip
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

from e2e import Case, http, main, wait_until

MIB = 1 << 20
INPUTS = ['/api/v2/alerts', '/v1/webhooks/alertmanager', '/v1/alerts']


def memory(service, what):
    """`VmRSS`: now; `VmHWM`: the most so far. In MiB."""
    with open(f'/proc/{service.daemon.process.pid}/status') as status:
        for line in status:
            if line.startswith(what + ':'):
                return int(line.split()[1]) / 1024
    raise AssertionError(what)


def empty_objects(size):
    """About `size` bytes of `[{},{},…]`."""
    return b'[' + b'{},' * (size // 3) + b'{}]'


def at_once(count, action):
    """What `action(i)` gives, `count` times at once."""
    results = [None] * count

    def run(i):
        results[i] = action(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class HostilePeers(Case):
    def check_alive(self, service, path='/livez'):
        began = time.monotonic()
        self.assertEqual(service.get(path).status, 200)
        self.assertLess(time.monotonic() - began, 1.5, path)

    def test_bodies_of_very_many_values_neither_fill_the_memory_nor_keep_it(self):
        service = self.incidentd()
        before = memory(service, 'VmRSS')
        for size, allowed in ((4 * MIB - 8, (413,)), (1_400_000, (422, 503))):
            body = empty_objects(size)
            answers = at_once(24, lambda i, body=body: http(
                'POST', service.url + INPUTS[i % 2], body, {'Content-Type': 'application/json'}, timeout=60).status)
            for status in answers:
                self.assertIn(status, allowed)
            self.check_alive(service)
        self.assertLess(memory(service, 'VmHWM') - before, 700, 'MiB at the most')
        wait_until(lambda: memory(service, 'VmRSS') - before < 100, 10, 'the memory is given back')

    def test_bodies_of_one_long_text_do_not_fill_the_memory(self):
        service = self.incidentd()
        before = memory(service, 'VmRSS')
        text = b'a' * (4 * MIB - 100)
        for body, taken in ((b'{"title":"x","annotations":{"a":"' + text + b'"}}', 200), (b'{"title":"' + text, 400)):
            answers = at_once(40, lambda i, body=body: http(
                'POST', service.url + '/v1/alerts', body, timeout=60).status)
            self.assertLessEqual(set(answers), {taken, 503})
            self.assertIn(taken, answers)
        self.assertLess(memory(service, 'VmHWM') - before, 500, 'MiB at the most')

    def test_sigterm_is_in_order_however_peers_drip(self):
        service = self.incidentd()
        service.post('/v1/alerts', {'title': 'x'})
        service.post('/v1/alerts', {'title': 'x'})  # a repeat, which is stored at the end
        peer = socket.create_connection(('127.0.0.1', service.port), timeout=5)
        peer.sendall(b'POST /v1/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n'
                     b'Content-Length: 100000\r\n\r\n{')
        stopped = threading.Event()

        def drip():
            while not stopped.wait(0.2):
                try:
                    peer.sendall(b' ')
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            began = time.monotonic()
            self.assertEqual(service.stop(), 0)
            self.assertLess(time.monotonic() - began, 6)
        finally:
            stopped.set()
            dripping.join()
            peer.close()
        service.start()
        self.assertEqual([incident['alert_count'] for incident in service.incidents()], [2])

    def test_health_answers_while_every_thread_is_taken(self):
        service = self.incidentd('[server]\nthreads = 8\n')
        head = (b'POST /api/v2/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n'
                b'Content-Length: 100000\r\n\r\n[')
        peers = [socket.create_connection(('127.0.0.1', service.port), timeout=5) for _ in range(256)]
        try:
            for peer in peers:
                peer.sendall(head)
            for _ in range(3):
                for path in ('/livez', '/readyz', '/health'):
                    self.check_alive(service, path)
                for peer in peers:
                    try:
                        peer.sendall(b' ')
                    except OSError:
                        pass  # it was told to come again
        finally:
            for peer in peers:
                peer.close()
        wait_until(lambda: service.get('/v1/incidents', check=False).status == 200, 10, 'threads are free again')

    def test_half_heads_do_not_take_the_last_descriptor(self):
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, usual[1]))
        try:
            service = self.incidentd()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        peers = [socket.create_connection(('127.0.0.1', service.port), timeout=5) for _ in range(400)]
        try:
            for peer in peers:
                peer.sendall(b'GET / HT')
            self.check_alive(service)
            service.post('/v1/alerts', {'title': 'x'})
            self.assertEqual(len(service.incidents()), 1)
        finally:
            for peer in peers:
                peer.close()

    def test_a_smuggled_request_is_never_served(self):
        service = self.incidentd()
        inner = b'POST /v1/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n' \
                b'Content-Length: 17\r\n\r\n{"title":"inner"}'
        length = str(len(inner)).encode()
        for head in (b'Content-Length : ' + length + b'\r\n', b'Content-Length:\r\n ' + length + b'\r\n',
                     b'X: a\nContent-Length: ' + length + b'\r\n',
                     b'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
                     b'Content-Length: 0\r\nContent-Length: ' + length + b'\r\n', b'Host: other\r\n', b'X: \0\r\n'):
            with self.subTest(head=head), socket.create_connection(('127.0.0.1', service.port), timeout=5) as peer:
                peer.sendall(b'POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n' + head + b'\r\n' + inner)
                answers = b''
                while piece := peer.recv(65536):
                    answers += piece
                self.assertTrue(answers.startswith(b'HTTP/1.1 400 '), answers)
                self.assertEqual(answers.count(b'HTTP/1.1'), 1)
        self.assertEqual(service.incidents(), [])

    def test_compressed_bodies_are_whole_and_bounded(self):
        service = self.incidentd()
        body = gzip.compress(json.dumps([{'labels': {'alertname': 'Compressed'}}]).encode())
        headers = {'Content-Type': 'application/json', 'Content-Encoding': 'gzip'}
        for size in range(1, len(body)):
            self.assertEqual(service.post('/api/v2/alerts', body[:size], headers=headers).status, 400, size)
        self.assertEqual(service.incidents(), [])
        bomb = gzip.compress(b'[' + b' ' * 200_000_000)
        self.assertEqual(service.post('/api/v2/alerts', bomb, headers=headers).status, 413)
        self.assertEqual(service.post('/api/v2/alerts', body, headers=headers).status, 200)
        self.assertEqual(len(service.incidents()), 1)

    def test_texts_that_break_others_break_nothing(self):
        service = self.incidentd()
        for title in ('\\ud800', '\\udc00\\ud800', 'a\\ud800b'):
            body = f'{{"title": "{title}"}}'.encode()
            headers = {'Content-Type': 'application/json'}
            self.assertEqual(service.post('/v1/alerts', body, headers=headers).status, 400, body)
        for text in ("'; DROP TABLE incidents; --", '" OR 1=1 --', '%27%20OR%201=1', '{{7*7}}', '${jndi:ldap://x}'):
            self.assertEqual(service.post('/v1/alerts', {'title': text, 'labels': {'a': text}}).status, 200)
            for query in ('q', 'label.a', 'cursor', 'state'):
                path = f'/v1/incidents?{query}=' + ''.join(f'%{b:02x}' for b in text.encode())
                self.assertIn(service.get(path, check=False).status, (200, 400), path)
        self.assertEqual(len(service.incidents()), 5)

    def test_an_operators_body_has_32_kib(self):
        service = self.incidentd()
        incident = service.post('/v1/alerts', {'title': 'Noted'}).json['incident_id']
        for size, status in ((32 * 1024, 422), (32 * 1024 + 1, 413)):
            body = b'{"note": "' + b'x' * (size - 12) + b'"}'
            answer = service.post(f'/v1/incidents/{incident}/notes', body, headers={'Content-Type': 'application/json'},
                                  admin=True)
            self.assertEqual(answer.status, status, size)


class Certificates(Case):
    def make(self, name):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                        '-keyout', 'new.key', '-out', 'new.pem', '-days', '2', '-subj', f'/CN={name}'],
                       cwd=self.folder, check=True, capture_output=True)
        os.replace(self.folder / 'new.key', self.folder / 'server.key')
        os.replace(self.folder / 'new.pem', self.folder / 'server.pem')

    @staticmethod
    def shown(port):
        return ssl.get_server_certificate(('127.0.0.1', port))

    def test_sighup_brings_a_new_certificate_and_a_bad_one_changes_nothing(self):
        self.make('first')
        service = self.incidentd('[server]\ntls_certificate = "server.pem"\ntls_key = "server.key"\n')
        first = (self.folder / 'server.pem').read_text().strip()
        self.assertEqual(self.shown(service.port).strip(), first)

        self.make('second')
        second = (self.folder / 'server.pem').read_text().strip()
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.shown(service.port).strip() == second, 10, 'the second certificate is shown')

        (self.folder / 'server.pem').write_text('no certificate')
        service.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: 'server.pem' in service.daemon.output(), 10, 'the log names the bad file')
        self.assertEqual(self.shown(service.port).strip(), second)


if __name__ == '__main__':
    main()
