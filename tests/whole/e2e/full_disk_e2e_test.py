"""A disk that is really full: what was answered 200 is there, what was not stored was not answered 200.

The store lies on a tmpfs of a few MiB, mounted in a mount namespace of this process alone. Where the system lets nobody
make one (some containers), the tests say so and are left out; the unit tests fail SQLite's file system by hand."""

import os
import sqlite3
import subprocess
import sys
import unittest
import uuid

from e2e import Case, main, wait_until

IN_NAMESPACE = 'FUSEBOX_IN_MOUNT_NAMESPACE'
CONFIG = '''
[store]
url = "sqlite:{disk}/incidentd.db"
[breakers.store]
open_timeout = "500ms"
[[destinations]]
name = "hook"
type = "webhook"
url = "{url}"
secret_env = "HOOK_SECRET"
allow_private_addresses = true
[[routes]]
to = ["hook"]
'''


class FullDisk(Case):
    def disk(self, mebibytes, ballast):
        """A small disk, with a file on it that can be removed to make room."""
        disk = self.folder / 'disk'
        disk.mkdir()
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={mebibytes}m', 'tmpfs', disk], check=True)
        self.addCleanup(subprocess.run, ['umount', '--lazy', disk], check=True)
        (disk / 'ballast').write_bytes(b'x' * ballast)
        return disk

    def fill(self, service, most=1500):
        """Posts alerts until twenty in a row were refused. Gives the ids of those that were answered 200."""
        stored, refused, refused_in_row = [], [], 0
        for number in range(most):
            answer = service.post('/v1/alerts', {'title': f'Alert {number} {uuid.uuid4()}', 'severity': 'P3',
                                                 'annotations': {'description': 'x' * 12_000}})
            if answer.status == 200:
                stored.append(answer.json['incident_id'])
                refused_in_row = 0
                continue
            self.assertEqual(answer.status, 503, answer)
            self.assertGreaterEqual(int(answer.headers['Retry-After']), 1)
            self.assertNotIn(str(self.folder), answer.body.decode())
            refused.append(number)
            refused_in_row += 1
            if refused_in_row == 20:
                break
        self.assertTrue(stored, 'something was stored')
        self.assertEqual(refused_in_row, 20, 'the disk got full')
        return stored

    def ids(self, service):
        return sorted(incident['id'] for incident in service.incidents())

    def test_nothing_that_was_answered_200_is_lost_and_nothing_else_is_stored(self):
        receiver = self.receiver()
        disk = self.disk(12, 6 << 20)
        service = self.incidentd(CONFIG.format(disk=disk, url=receiver.url))
        self.assertEqual(service.get('/readyz').status, 200)

        stored = self.fill(service)
        wait_until(lambda: service.get('/readyz').status == 503, 10, 'it is not ready')
        self.assertEqual(service.get('/livez').status, 200)
        self.assertEqual(service.get('/health', admin=True).status, 503)
        self.assertEqual(self.ids(service), sorted(stored), 'while the disk is full')

        (disk / 'ballast').unlink()
        wait_until(lambda: service.get('/readyz').status == 200, 15, 'it is ready again by itself')
        after = service.post('/v1/alerts', {'title': 'after the disk had room again'})
        self.assertEqual(after.status, 200)
        stored.append(after.json['incident_id'])
        told = wait_until(lambda: any(stored[-1].encode() in r['body'] for r in receiver.accepted()), 60,
                          'the page of the new alert goes out')
        self.assertTrue(told)
        self.assertEqual(self.ids(service), sorted(stored), 'when there is room again')

        self.assertEqual(service.stop(), 0)
        service.start()
        self.assertEqual(self.ids(service), sorted(stored), 'after a restart')
        service.stop()
        with sqlite3.connect(disk / 'incidentd.db') as database:
            self.assertEqual(database.execute('PRAGMA integrity_check').fetchall(), [('ok',)])

    def test_a_kill_while_the_disk_is_full_loses_nothing(self):
        disk = self.disk(12, 6 << 20)
        service = self.incidentd(CONFIG.format(disk=disk, url=self.receiver().url))
        stored = self.fill(service)
        service.kill()
        (disk / 'ballast').unlink()
        service.start()
        self.assertEqual(self.ids(service), sorted(stored))


def has_namespace():
    """Goes on in a mount namespace of its own. False: none can be had."""
    if os.environ.get(IN_NAMESPACE):
        return True
    for flags in (['--mount'], ['--mount', '--user', '--map-root-user']):
        try:
            if subprocess.run(['unshare', *flags, 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /mnt'],
                              capture_output=True).returncode == 0:
                os.environ[IN_NAMESPACE] = '1'
                os.execvp('unshare', ['unshare', *flags, sys.executable, *sys.argv])
        except OSError:
            return False
    return False


if __name__ == '__main__':
    if not has_namespace():
        FullDisk = unittest.skip('this system lets nobody mount a small disk')(FullDisk)
    main()
