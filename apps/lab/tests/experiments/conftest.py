import msgspec
import pytest

from bookstore.lab.experiments.evidence import Bitten, Verdict
from bookstore.lab.experiments.journal import Findings, Journal, Phase
from bookstore.lab.load import history
from bookstore.lab.load.summary import Latency
from bookstore.lab.report.write import Result, Sheet


@pytest.fixture
def sheet(tmp_path):
    folder = tmp_path / "worker-<killed>"
    folder.mkdir()
    with history.Writer(folder / "history.jsonl") as writer:
        for number in range(50):
            writer.write(history.Sent(number=number, op="order", due=number / 10, sent=number / 10))
            writer.write(history.Done(number=number, done=number / 10 + 0.02, status=201, order=number + 1))
    findings = Findings(
        experiment="worker-killed",
        digest="abc",
        judgement="valid",
        expected="valid",
        verdicts=[Verdict("no_loss", "valid", "all <there> | and well", [1])],
        bites=[Bitten("kill", True, "it is gone")],
        marks={"inject": 1.0, "after": 3.0},
        phases=[
            Phase(
                name="fault", seconds=2.0, sent=20, ok=20, refused=0, unknown=0, over_two_seconds=0,
                latency=Latency(p50=1, p90=2, p99=3, p999=4, max=5),
            )
        ],
        states={"orders-1": [(0.0, "healthy"), (1.0, "down"), (2.0, "healthy")]},
    )  # fmt: skip
    journal = Journal(experiment={"title": "A worker is killed", "description": "x"}, extensions=[findings])
    (folder / "journal.json").write_bytes(msgspec.json.encode(journal))
    return Sheet(tmp_path, [Result(name=folder.name, journal=journal)])
