"""What the console says of promises is what alerts go by: one list of them in the monitor, one in the lab."""

from bookstore.lab.observe.slo import SLOS
from bookstore.monitor.survey.promises import PROMISES


def test_the_monitor_and_the_alerts_go_by_the_same_promises():
    assert [(each.service, each.name, round(1 - each.objective, 6), each.says) for each in PROMISES] == [
        (slo.service, slo.name, float(slo.budget), slo.says) for slo in SLOS
    ]
