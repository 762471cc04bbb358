"""`make bench`: what a time is of, and that the rows are measured on the code that stages run."""

from collections.abc import Iterator

import pytest
import torch

import bench.__main__ as bench
from stages.base import params
from tests.helpers.frozen import FROZEN
from tests.helpers.tiny import tiny

SMALL = params.Params.model_validate(tiny())


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds that the clock says, one after the other."""
    times: list[float] = []
    monkeypatch.setattr("time.perf_counter", lambda: times.pop(0))
    yield times
    assert not times


def test_a_time_is_the_median_of_what_comes_after_the_warm_up() -> None:
    assert bench.summary([0.004, 0.001, 0.002]) == {"median": 2.0, "low": 1.0, "high": 4.0}
    row = bench.row("x", 3, [0.03, 0.01, 0.02], [0.001, 0.004, 0.002])
    assert row["ratio"] == 10.0
    assert (row["ours_ms"]["median"], row["notebook_ms"]["median"]) == (2.0, 20.0)


def test_the_baseline_is_timed_in_repeats_of_steps(ticks: list[float]) -> None:
    ticks += [0, 100, 200, 250, 300, 302, 310, 314]  # two of warm-up, then 2 s and 4 s for 4 steps
    taken: list[int] = []

    def steps() -> Iterator[float]:
        while True:
            taken.append(1)
            yield 0.0

    assert bench.stepped(steps(), 4, repeats=2) == [0.5, 1.0]
    assert len(taken) == 16


def test_the_engine_is_timed_by_its_reports(ticks: list[float]) -> None:
    ticks += [10.0, 13.0, 14.0, 16.0, 18.0]  # the start, and when each round of two was done
    clock = bench.Clock(2)
    for done in (1, 1, 2, 1, 2, 1):
        clock(done, 0.0)
    assert clock.seconds() == [2.0, 2.0]  # the first two rounds are warm-up
    assert clock.before() == 1.0


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little as rows can be of."""
    small = {
        "WIDTHS": (1,),
        "PERCEPTRON": 2,
        "WARM": 1,
        "REPEATS": 1,
        "STUDENTS": {"cpu": (1e-4, 0.5)},
    }
    for name, value in (small | {"STEPS": {"cpu": 1}, "RUNS": {"cpu": [2]}}).items():
        monkeypatch.setattr(bench, name, value)


@pytest.mark.usefixtures("little")
def test_rows_come_from_training() -> None:
    rows = [*bench.rows_cnn(SMALL, torch.device("cpu"))]
    assert [row["what"] for row in rows] == ["CNN n=1", "start-up: CNN n=1"]
    assert 0 < rows[0]["ours_ms"]["low"] <= rows[0]["ours_ms"]["high"]
    assert rows[0]["notebook_ms"]["median"] > 0
    head, line, start = bench.shown(rows).splitlines()
    assert head.split() == ["ratio", "runs", "ours", "notebook"]
    assert line.startswith("CNN n=1 ")
    assert line.count("] ms") == 2
    assert start.endswith("] s")


@pytest.mark.usefixtures("little")
def test_studies_and_students_have_rows_in_units_of_their_own() -> None:
    studies = [*bench.rows_studies(SMALL, torch.device("cpu"))]
    assert [row["what"] for row in studies] == [f"any network: {n}" for n in ("cnn n=1", "mlp n=2")]
    assert all(row["ours_ms"]["low"] > 0 for row in studies)
    students = [*bench.rows_students(FROZEN, torch.device("cpu"))]
    assert [row["what"].split()[1] for row in students] == ["1", "1", "3", "3"]
    assert all(row["ours_s"]["low"] > 0 for row in students)
