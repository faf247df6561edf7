"""/metrics as Prometheus reads it."""

import re
import subprocess

from e2e import Case, main, wait_until

PREFIX = 'llm_incident_manager_circuit_breaker_'
# Contract R42, exactly.
FAMILIES = {'state': 'gauge', 'calls_total': 'counter', 'successful_calls_total': 'counter',
            'failed_calls_total': 'counter', 'rejected_calls_total': 'counter',
            'call_duration_seconds': 'histogram', 'state_transitions_total': 'counter',
            'open_duration_seconds': None, 'half_open_probes_total': 'counter', 'failure_rate': 'gauge',
            'success_rate': 'gauge', 'slow_calls_total': 'counter', 'last_state_change_timestamp_seconds': 'gauge',
            'fallbacks_total': 'counter', 'stale_outcomes_total': 'counter'}


class Metrics(Case):
    def test_families_are_those_of_the_contract_and_promtool_accepts_them(self):
        service = self.incidentd()
        for n in range(3):
            service.post('/v1/alerts', {'title': f'alert {n}'})
        wait_until(lambda: all(n['state'] == 'delivered' for n in service.notifications()), 10, 'delivered')
        service.post('/v1/circuit-breakers/notify:log/open', admin=True)
        service.post('/v1/alerts', {'title': 'one more'})
        text = service.metrics()
        kinds = dict(re.findall(rf'^# TYPE {PREFIX}(\w+) (\w+)$', text, re.M))
        self.assertEqual({k: v for k, v in kinds.items()}, {k: v or kinds.get(k) for k, v in FAMILIES.items()})
        self.assertEqual(set(re.findall(rf'^# HELP {PREFIX}(\w+) .', text, re.M)), set(FAMILIES))
        self.assertIn(f'{PREFIX}state{{name="notify:log"}} 3', text)
        self.assertIn(f'{PREFIX}state{{name="store"}} 0', text)
        self.assertRegex(text, rf'{PREFIX}calls_total{{name="notify:log",status="allowed"}} 3\b')
        labels = 'name="notify:log",from_state="closed",to_state="forced_open"'
        self.assertRegex(text, rf'{PREFIX}state_transitions_total{{{labels}}} 1\b')
        bounds = re.findall(rf'{PREFIX}call_duration_seconds_bucket{{name="store",le="([^"]+)"}}', text)
        self.assertEqual([float(b) for b in bounds[:-1]],
                         [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
        self.assertEqual(bounds[-1], '+Inf')

    def test_incidents_are_counted_by_state_also_where_there_are_none(self):
        service = self.incidentd()
        first = service.post('/v1/alerts', {'title': 'alert 1'}).json['incident_id']
        service.post('/v1/alerts', {'title': 'alert 2'})
        service.post('/v1/alerts', {'title': 'alert 3'})
        service.post(f'/v1/incidents/{first}/resolve', {'actor': 'ada'}, admin=True)
        counted = dict(re.findall(r'^llm_incident_manager_incidents{state="(\w+)"} (\d+)$', service.metrics(), re.M))
        self.assertEqual(counted, {'detected': '2', 'triaged': '0', 'investigating': '0', 'remediating': '0',
                                   'resolved': '1', 'closed': '0'})

    def test_promtool_has_nothing_to_say(self):
        service = self.incidentd()
        service.post('/v1/alerts', {'title': 'x'})
        result = subprocess.run(['promtool', 'check', 'metrics'], input=service.metrics(), text=True,
                                capture_output=True)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))


if __name__ == '__main__':
    main()
