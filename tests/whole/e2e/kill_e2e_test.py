"""kill -9 at random moments: what was answered 200 is there, once, and is delivered."""

import collections
import http.client
import json
import os
import queue
import random
import threading
import time

from e2e import Case, header, main, wait_until
from e2e import http as request

ALERTS = 2000
KILLS = 6
SENDERS = 8

CONFIG = '''
[[destinations]]
name = "ops-hook"
type = "webhook"
url = "{url}"
secret_env = "HOOK_SECRET"
allow_private_addresses = true
max_in_flight = 8

[[routes]]
to = ["ops-hook"]
'''


class Kill(Case):
    def test_a_page_that_was_being_sent_goes_out_within_two_seconds_of_the_restart(self):
        receiver = self.receiver().set('hang')
        service = self.incidentd(CONFIG.format(url=receiver.url))
        self.assertEqual(service.post('/v1/alerts', {'title': 'payments down', 'severity': 'P0'}).status, 200)
        wait_until(lambda: receiver.requests, 10, 'the page is being sent')
        service.kill()
        receiver.set(200)
        service.start()
        wait_until(receiver.accepted, 2, 'the page goes out')
        self.assertEqual(len({header(record, 'webhook-id') for record in receiver.requests}), 1)
        self.assertIn('leases_released', service.daemon.output())

    def test_no_acknowledged_alert_is_lost_and_none_is_doubled(self):
        seed = int(os.environ.get('FUSEBOX_SEED', time.time_ns() % 1_000_000))
        print(f'seed {seed} (FUSEBOX_SEED={seed} repeats it)')
        moments = random.Random(seed)
        receiver = self.receiver()
        service = self.incidentd(CONFIG.format(url=receiver.url))

        todo = queue.Queue()
        for n in range(ALERTS):
            todo.put(n)
        acknowledged = set()
        lock = threading.Lock()  # guards acknowledged

        def send():
            while True:
                try:
                    n = todo.get_nowait()
                except queue.Empty:
                    return
                alert = {'title': f'alert {n}', 'severity': 'P2', 'labels': {'n': str(n)}}
                while True:  # as a client would: again until it is acknowledged
                    try:
                        response = request('POST', service.url + '/v1/alerts', alert, timeout=10)
                    except (OSError, http.client.HTTPException):
                        time.sleep(0.05)  # killed under us, perhaps in mid-answer: wait for the restart
                        continue
                    if response.status == 200:
                        with lock:
                            acknowledged.add(n)
                        break
                    assert response.status == 503, response

        senders = [threading.Thread(target=send) for _ in range(SENDERS)]
        for s in senders:
            s.start()
        for kill in range(KILLS):
            # Spread over the run: wait for the next share of acknowledgements, then strike at a random moment.
            target = (kill + 1) * ALERTS // (KILLS + 1) - ALERTS // (2 * (KILLS + 1))
            wait_until(lambda: len(acknowledged) >= target, 120, f'{target} alerts are acknowledged')
            time.sleep(moments.uniform(0, 0.1))
            service.kill()
            service.start()
        for s in senders:
            s.join(120)
            self.assertFalse(s.is_alive(), 'a sender did not finish')
        self.assertEqual(len(acknowledged), ALERTS)

        incidents = service.incidents()
        per_alert = collections.Counter(i['labels']['n'] for i in incidents)
        self.assertEqual(sorted(per_alert, key=int), [str(n) for n in range(ALERTS)])
        self.assertEqual([n for n, count in per_alert.items() if count > 1], [])

        wait_until(lambda: service.get('/v1/notifications?state=pending&limit=1').json['notifications'] == []
                   and service.get('/v1/notifications?state=leased&limit=1').json['notifications'] == [], 180,
                   'every notification is delivered')
        notifications = service.notifications()
        self.assertEqual({n['state'] for n in notifications}, {'delivered'})
        self.assertEqual(len(notifications), ALERTS)
        # At least once, with one stable id per notification.
        got = collections.defaultdict(set)
        for record in receiver.accepted():
            got[json.loads(record['body'])['data']['id']].add(header(record, 'webhook-id'))
        self.assertEqual(got, {n['incident_id']: {n['id']} for n in notifications})
        deliveries = len(receiver.accepted())
        print(f'{ALERTS} alerts, {KILLS} kills, {deliveries} deliveries of {len(notifications)} notifications')


if __name__ == '__main__':
    main()
