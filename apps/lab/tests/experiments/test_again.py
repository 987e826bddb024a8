"""A run that proved nothing because the instrument was late is made again, and all are kept."""

import msgspec
import pytest

from bookstore.lab.experiments import command
from bookstore.lab.experiments.bench import Bench
from bookstore.lab.experiments.definition import library
from bookstore.lab.experiments.evidence import Bitten
from bookstore.lab.experiments.journal import Findings, Journal
from bookstore.lab.live import People
from bookstore.lab.report.write import Sheet, read, write
from bookstore.lab.system.folder import StateFolder

LATE, IN_TIME = 71.0, 12.0
BIT, DID_NOT_BITE = [Bitten("kill", True, "it is gone")], [Bitten("kill", False, "it lives")]


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Run the experiment of a name, with these judgements of its runs; gives what there is afterwards."""

    async def play(name, *runs):
        plan = iter(runs)

        class Run:
            def __init__(self, named, _bench, folder, teller, *, lagged_before_ms=None):
                self.named, self.folder, self.teller = named, folder, teller
                self.before = lagged_before_ms
                self.journal = Journal()

            async def go(self):
                judgement, lag, bites = next(plan)
                self.journal.extensions = [
                    Findings(
                        experiment=self.named.name,
                        digest="",
                        judgement=judgement,
                        expected=self.named.experiment.ours.expected,
                        verdicts=[],
                        bites=bites,
                        lag_p99_ms=lag,
                        lagged_before_ms=self.before,
                    )
                ]
                (self.folder / "journal.json").write_bytes(msgspec.json.encode(self.journal))

        async def calm():
            waited.append(1)

        waited = []
        monkeypatch.setattr(command, "Run", Run)
        monkeypatch.setattr(command, "calm", calm)
        sheet = Sheet(tmp_path / "runs")
        sheet.folder.mkdir()
        await command._one(library()[name], Bench(StateFolder(tmp_path)), sheet, People())
        assert list(plan) == []
        assert len(waited) == len(runs) - 1
        [result] = sheet.results
        return sheet, result.journal.findings

    return play


async def test_a_late_generator_proves_nothing_so_it_is_run_again(play, capsys):
    sheet, findings = await play("worker-killed", ("unknown", LATE, BIT), ("valid", IN_TIME, BIT))
    assert (findings.judgement, findings.lagged_before_ms) == ("valid", LATE)
    assert "late (p99 71 ms), so it is run again" in capsys.readouterr().out
    assert [path.name for path in (sheet.folder / "worker-killed" / "lagged-1").iterdir()] == ["journal.json"]
    assert [result.journal.findings.judgement for result in read(sheet.folder).results] == ["valid"]
    write(sheet)
    for name in ("report.md", "report.html"):
        told = (sheet.folder / name).read_text()
        assert "; the run before proved nothing: the generator was late by 71 ms" in told


async def test_who_is_always_late_has_proved_nothing(play):
    _, findings = await play("worker-killed", *[("unknown", LATE, BIT)] * command.ATTEMPTS)
    assert findings.judgement == "unknown"


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("worker-killed", ("invalid", LATE, BIT)),
        ("worker-killed", ("unknown", IN_TIME, BIT)),
        ("worker-killed", ("unknown", LATE, DID_NOT_BITE)),
        ("worker-killed", ("valid", LATE, BIT)),
        ("nothing-bites", ("unknown", LATE, [])),
    ],
    ids=["a promise is broken", "nobody was late", "it did not bite", "it is proved", "it must be unknown"],
)
async def test_all_else_stands_as_it_is(play, name, run):
    _, findings = await play(name, run)
    assert (findings.judgement, findings.lagged_before_ms) == (run[0], None)
