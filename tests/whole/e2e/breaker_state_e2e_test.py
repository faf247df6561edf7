"""server.breaker_state: what the breakers know outlives the process, however it ends."""

import json

from e2e import Case, main, wait_until

CONFIG = '''
[server]
breaker_state = "state/breakers.json"
[breakers."notify:log"]
open_timeout = "60s"
'''


class BreakerState(Case):
    def saved(self):
        """What the file says, by name."""
        file = self.folder / 'state' / 'breakers.json'
        return {b['name']: b for b in json.loads(file.read_text())['breakers']} if file.exists() else {}

    def operate(self, service, name, action, reason):
        self.assertEqual(
            service.post(f'/v1/circuit-breakers/{name}/{action}', {'reason': reason}, admin=True).status, 200)

    def test_an_open_breaker_is_still_open_after_kill_9(self):
        service = self.incidentd(CONFIG)
        self.operate(service, 'notify:log', 'trip', 'a drill')
        self.operate(service, 'store', 'metrics-only', 'watching')
        # Saved, and since then once more, so that the time left is that of the crash and not that of the trip.
        wait_until(lambda: self.saved().get('notify:log', {}).get('time_left_ns', 60e9) < 59.5e9
                   and 'store' in self.saved(),
                   15, 'the time left is saved again')
        service.kill()
        left = self.saved()['notify:log']['time_left_ns'] / 1e9

        service.start()
        breaker = service.breaker('notify:log')
        self.assertEqual(breaker['state'], 'open')
        self.assertEqual(breaker['trip_count'], 1)
        self.assertLessEqual(breaker['retry_after_seconds'], left)
        self.assertGreater(breaker['retry_after_seconds'], left - 15)
        self.assertIn('a drill', json.dumps(service.get('/v1/circuit-breakers/notify:log/reports').json))
        self.assertEqual(service.breaker('store')['state'], 'metrics_only')
        self.assertIn('breaker_restored', service.daemon.output())

        # A reset is not forgotten either, and a stop in good order saves too.
        self.operate(service, 'notify:log', 'reset', 'enough')
        self.assertEqual(service.stop(), 0)
        self.assertEqual(self.saved()['notify:log']['state'], 'closed')
        service.start()
        self.assertEqual(service.breaker('notify:log')['state'], 'closed')

    def test_a_damaged_file_is_reported_left_alone_and_keeps_nobody_from_starting(self):
        service = self.incidentd(CONFIG, start=False)
        file = self.folder / 'state' / 'breakers.json'
        file.parent.mkdir()
        file.write_text('{"format": "fusebox breaker state", "version": 1, "breakers": [{')
        service.start()
        self.assertIn('breaker_state_load_failed', service.daemon.output())
        self.operate(service, 'store', 'trip', 'x')
        wait_until(lambda: 'breaker_state_save_failed' in service.daemon.output(), 15, 'the failing save is reported')
        self.assertEqual(file.read_text(), '{"format": "fusebox breaker state", "version": 1, "breakers": [{')
        file.unlink()
        wait_until(lambda: 'breaker_state_saved_again' in service.daemon.output(), 15, 'saving works again')
        self.assertEqual(self.saved()['store']['trip_count'], 1)

    def test_without_the_key_nothing_is_kept(self):
        service = self.incidentd()
        self.operate(service, 'notify:log', 'open', 'x')
        self.assertEqual(service.stop(), 0)
        self.assertEqual([f.name for f in self.folder.rglob('*') if 'breaker' in f.name], [])
        service.start()
        self.assertEqual(service.breaker('notify:log')['state'], 'closed')


if __name__ == '__main__':
    main()
