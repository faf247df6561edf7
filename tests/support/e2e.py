"""What the end-to-end tests share: starting the programs on free loopback ports, stopping them by pid, a webhook
receiver that can misbehave, and the check of every answer against docs/api/incidentd.openapi.yaml."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import yaml

SOURCE = Path(os.environ.get('FUSEBOX_SOURCE_DIR', Path(__file__).resolve().parents[2]))
BIN = Path(os.environ.get('FUSEBOX_BIN_DIR', SOURCE / 'build' / 'dev' / 'bin'))
INCIDENTD = BIN / 'incidentd'
FUSEBOX = BIN / 'fusebox'

ADMIN_TOKEN = 'admin-token-for-tests'
WEBHOOK_SECRET = 'whsec_' + base64.b64encode(b'a webhook secret of thirty-two b').decode()


def free_port():
    """A port that nobody has now; the program that gets it must bind it soon."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_until(condition, timeout, what):
    """Polls `condition` until it gives something true, and gives that; fails naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {timeout} s: {what}')
        time.sleep(0.05)


class Daemon:
    """A program in the background with its output in a file; stopped by pid."""

    def __init__(self, name, command, log, **popen):
        self.name = name
        self.log = Path(log)
        self._out = open(self.log, 'ab')
        self.process = subprocess.Popen([str(c) for c in command], stdout=self._out, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, **popen)

    def alive(self):
        return self.process.poll() is None

    def output(self):
        return self.log.read_text(errors='replace')

    def stop(self, sig=signal.SIGTERM, timeout=15):
        if self.alive():
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f'{self.name} did not stop within {timeout} s of {sig.name}') from None
            finally:
                self._out.close()
        return self.process.returncode


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f'<{self.status} {self.body[:300]!r}>'


def http(method, url, body=None, headers=None, timeout=15):
    """One request. A dict or list is sent as JSON, bytes as they are. Any status is a Response."""
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    if body is not None and not any(k.lower() == 'content-type' for k in headers):
        headers['Content-Type'] = 'application/json'
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Response(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as answer:
        with answer:
            return Response(answer.code, answer.headers, answer.read())


class OpenApi:
    """Holds answers to the document: status, content type and body must be among those it names for the operation."""

    def __init__(self, path=SOURCE / 'docs' / 'api' / 'incidentd.openapi.yaml'):
        self.document = yaml.safe_load(Path(path).read_text())
        # A path without parameters wins over a template, as OpenAPI says.
        self.paths = sorted(self.document['paths'], key=lambda p: p.count('{'))
        self.seen = set()  # (path, method, status) that an answer was checked against

    def resolve(self, node):
        while '$ref' in node:
            target = self.document
            for part in node['$ref'].removeprefix('#/').split('/'):
                target = target[part]
            node = target
        return node

    def match(self, path):
        for template in self.paths:
            pattern = re.sub(r'\\\{\w+\\\}', '[^/]+', re.escape(template))
            if re.fullmatch(pattern, path):
                yield template

    def check(self, method, url, response):
        path = urllib.parse.urlsplit(url).path
        for template in self.match(path):
            operation = self.document['paths'][template].get(method.lower())
            if operation:
                break
        else:
            # Unknown paths and methods are outside the document; they too answer with a problem.
            assert response.status in (404, 405), f'{method} {path} is not in the document but answers {response}'
            self.check_problem(response)
            return
        documented = operation['responses'].get(str(response.status))
        if not documented:  # what any request may be answered with; only the statuses that the document names there
            anywhere = self.resolve(operation['responses']['default'])
            documented = anywhere if response.status in anywhere['x-statuses'] else None
        assert documented, (f'{method} {template} answers {response.status}, '
                            f'which the document does not name: {response}')
        documented = self.resolve(documented)
        self.seen.add((template, method.upper(), str(response.status)))
        for name, header in documented.get('headers', {}).items():
            assert not header.get('required') or name in response.headers, f'{method} {template}: no header {name}'
        content = documented.get('content')
        if not content:
            return
        kind = (response.headers.get('Content-Type') or '').split(';')[0].strip()
        assert kind in content, f'{method} {template} {response.status}: content type {kind!r}, not {sorted(content)}'
        schema = content[kind]['schema']
        body = response.body.decode() if kind == 'text/plain' else response.json
        # References in the schema point into the whole document.
        jsonschema.Draft202012Validator({**schema, 'components': self.document['components']}).validate(body)

    def check_problem(self, response):
        kind = (response.headers.get('Content-Type') or '').split(';')[0].strip()
        assert kind == 'application/problem+json', f'not a problem: {kind} {response}'
        schema = self.document['components']['schemas']['Problem']
        jsonschema.Draft202012Validator(schema).validate(response.json)
        assert response.json['status'] == response.status


API = OpenApi()


class Incidentd:
    """incidentd on a free port with a configuration of its own; `start` after `kill` goes on with the same data."""

    def __init__(self, folder, config='', env=None):
        self.folder = Path(folder)
        self.config = self.folder / 'incidentd.toml'
        self.config.write_text(config)
        # None takes a variable away.
        env = {**os.environ, 'INCIDENTD_ADMIN_TOKEN': ADMIN_TOKEN, 'HOOK_SECRET': WEBHOOK_SECRET, **(env or {})}
        self.env = {name: value for name, value in env.items() if value is not None}
        self.log = self.folder / 'incidentd.log'
        self.daemon = None
        self.url = None
        self.port = 0

    def start(self):
        where = self.folder / 'listen'
        where.unlink(missing_ok=True)
        self.daemon = Daemon('incidentd', [INCIDENTD, '--config', self.config, '--listen', f'127.0.0.1:{self.port}',
                                           '--listen-file', where], self.log, cwd=self.folder, env=self.env)

        def ready():
            if not self.daemon.alive():
                raise AssertionError(f'incidentd ended with {self.daemon.process.returncode}:\n{self.daemon.output()}')
            return where.exists() and where.read_text().strip()

        address = wait_until(ready, 15, 'incidentd is ready')
        self.port = int(address.rsplit(':', 1)[1])  # a restart keeps the port, so that senders find it again
        self.url = f'http://{address}'
        return self

    def kill(self):
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon._out.close()

    def stop(self):
        return self.daemon.stop() if self.daemon else None

    def request(self, method, path, body=None, headers=None, admin=False, token=None, check=True):
        headers = dict(headers or {})
        if admin or token:
            headers['Authorization'] = f'Bearer {token or ADMIN_TOKEN}'
        response = http(method, self.url + path, body, headers)
        if check:
            API.check(method, path, response)
        return response

    def get(self, path, **kw):
        return self.request('GET', path, **kw)

    def post(self, path, body=None, **kw):
        return self.request('POST', path, body, **kw)

    def all(self, path, key):
        """Every page of a list."""
        items, cursor = [], None
        while True:
            mark = '&' if '?' in path else '?'
            page = self.get(path + (f'{mark}cursor={urllib.parse.quote(cursor)}' if cursor else '')).json
            items += page[key]
            cursor = page['next_cursor']
            if cursor is None:
                return items

    def incidents(self):
        return self.all('/v1/incidents?limit=500', 'incidents')

    def notifications(self):
        return self.all('/v1/notifications?limit=500', 'notifications')

    def breaker(self, name):
        return self.get(f'/v1/circuit-breakers/{name}').json

    def metrics(self):
        return self.get('/metrics').body.decode()


class Receiver:
    """A webhook receiver that can be told while it runs: ok, hang, a status, or down (nothing listens)."""

    def __init__(self):
        self.port = free_port()
        self.requests = []  # dicts: at, status, headers, body (bytes); status None while it hangs
        self.mode = ('status', 200, {})
        self._changed = threading.Condition()
        self._server = None

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}/hook'

    def up(self):
        if self._server:
            return self
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
                with receiver._changed:
                    mode = receiver.mode
                    record = {'at': time.time(), 'headers': dict(self.headers.items()), 'body': body, 'status': None}
                    receiver.requests.append(record)
                    if mode[0] == 'hang':
                        # Holds the request until the mode changes; then the connection is dropped unanswered.
                        while receiver.mode is mode and receiver._server:
                            receiver._changed.wait(0.2)
                        self.close_connection = True
                        return
                    record['status'] = mode[1]
                self.send_response(mode[1])
                for name, value in mode[2].items():
                    self.send_header(name, value)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                error = sys.exc_info()[1]
                if not isinstance(error, (ConnectionError, BrokenPipeError)):
                    super().handle_error(request, client_address)

        self._server = Server(('127.0.0.1', self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def down(self):
        if self._server:
            server, self._server = self._server, None
            with self._changed:
                self._changed.notify_all()
            server.shutdown()
            server.server_close()
        return self

    def set(self, *mode, **headers):
        """set('hang') or set(429, Retry_After='3')."""
        with self._changed:
            named = {k.replace('_', '-'): v for k, v in headers.items()}
            self.mode = ('hang',) if mode[0] == 'hang' else ('status', mode[0], named)
            self._changed.notify_all()
        return self

    def accepted(self):
        return [r for r in list(self.requests) if r['status'] is not None and 200 <= r['status'] < 300]


def header(record, name):
    return next((v for k, v in record['headers'].items() if k.lower() == name.lower()), None)


def signature_is_valid(record, secret=WEBHOOK_SECRET):
    """Standard Webhooks, by the document; the npm package checks the same in verify_webhooks.js."""
    key = base64.b64decode(secret.removeprefix('whsec_'))
    signed = b'.'.join([header(record, 'webhook-id').encode(), header(record, 'webhook-timestamp').encode(),
                        record['body']])
    want = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [s.removeprefix('v1,') for s in header(record, 'webhook-signature').split(' ') if s.startswith('v1,')]
    return any(hmac.compare_digest(want, g) for g in given)


class Case(unittest.TestCase):
    """A test with a folder of its own; what it started is stopped in the end, and shown if the test failed."""

    maxDiff = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix='fusebox-e2e-'))
        self.addCleanup(self._clean)
        self._daemons = []

    def daemon(self, name, command, **popen):
        d = Daemon(name, command, self.folder / f'{name}.log', **popen)
        self.addCleanup(d.stop, signal.SIGKILL)
        return d

    def incidentd(self, config='', env=None, start=True):
        service = Incidentd(self.folder, config, env)
        self.addCleanup(service.stop)
        return service.start() if start else service

    def receiver(self):
        r = Receiver().up()
        self.addCleanup(r.down)
        return r

    def _clean(self):
        outcome = getattr(self, '_outcome', None)
        result = getattr(outcome, 'result', None)
        failed = result and any(test is self for test, _ in [*result.failures, *result.errors])
        if failed:
            for log in sorted(self.folder.glob('*.log')):
                print(f'----- {log.name} (last 60 lines)', *log.read_text(errors='replace').splitlines()[-60:],
                      sep='\n',
                      file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    unittest.main(verbosity=2)
