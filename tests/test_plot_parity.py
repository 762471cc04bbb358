"""The parity figure and its series: drawn from the table alone, the same bytes each time."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from conftest import run_stage
from stages import errors, figures, params, plot_parity
from stages.drawing import parity
from stages.parity.tasks import frequencies

ROOT = Path(__file__).resolve().parent.parent
PLOT = params.load(ROOT / "params.yaml").plot


def curves(name: str, tasks: int, steps: range, seeds: int = 3) -> pd.DataFrame:
    """Tasks that are learned one after the other, at each seed at another time."""
    at = 50.0 * np.arange(1, tasks + 1) * (1 + 0.2 * np.arange(seeds)[:, None])
    losses = 0.69 / (1 + (np.array(steps)[:, None] / at[:, None, :]) ** 4)
    mean = losses @ frequencies(tasks, 0.4)
    index = pd.MultiIndex.from_product(
        [range(seeds), steps, range(1, tasks + 1)], names=["seed", "step", "task"]
    )
    return index.to_frame(index=False).assign(
        configuration=name,
        loss=losses.ravel(),
        accuracy=1.0,
        mean_loss=np.repeat(mean.ravel(), tasks),
    )


def save(path: Path, *tables: pd.DataFrame) -> Path:
    pd.concat(tables).astype({"configuration": "category"}).to_parquet(path, index=False)
    return path


def test_the_series_is_the_median_over_seeds_and_its_band() -> None:
    table = curves("notebook", 10, range(1, 2501))
    drawn = parity.series(table, PLOT)
    assert set(drawn["series"]) == {f"task {i}" for i in range(1, 11)} | {"mean"}
    assert len(drawn) < 3000
    assert drawn["step"].max() == 2500
    step = drawn["step"].iloc[20]
    here, shown = table[table["step"] == step], drawn[drawn["step"] == step]
    losses = here.loc[here["task"] == 3, "loss"]
    row = shown[shown["series"] == "task 3"].iloc[0]
    assert row["loss"] == pytest.approx(losses.median())
    assert row["low"] == pytest.approx(losses.quantile(PLOT.band[0]))
    row = shown[shown["series"] == "mean"].iloc[0]
    assert row["loss"] == pytest.approx(here.groupby("seed")["mean_loss"].first().median())


def test_of_many_tasks_some_are_drawn_and_of_few_all() -> None:
    drawn = parity.series(curves("paper", 500, range(100, 3001, 100)), PLOT)
    tasks = [int(name.split()[1]) for name in drawn["series"].unique() if name != "mean"]
    assert len(tasks) <= parity.TASKS
    assert tasks[0] == 1
    assert tasks[-1] == 500
    drawn = parity.series(curves("one", 1, range(5, 6), seeds=1), PLOT)
    assert drawn["series"].tolist() == ["task 1", "mean"]


def test_the_stage_writes_the_same_bytes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = save(
        tmp_path / "parity.parquet",
        curves("notebook", 10, range(1, 501)),
        curves("short", 3, range(5, 6), seeds=1),
    )
    done = run_stage("stages.plot_parity", table, tmp_path / "a")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["", "--table", str(table), "--output", str(tmp_path / "b")])
    plot_parity.main()
    for name in ("parity_curves.svg", "parity_curves.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    svg = ElementTree.parse(tmp_path / "a" / "parity_curves.svg")
    texts = {"".join(element.itertext()).strip() for element in svg.iter()}
    assert {"task 1", "task 10", "mean", "Loss (nats)", plot_parity.TITLE} <= texts
    written = pd.read_csv(tmp_path / "a" / "parity_curves.csv")
    assert {"notebook, task 1", "notebook, mean", "short, task 3"} <= set(written["series"])


def test_a_table_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="make it again"):
        plot_parity.read(tmp_path / "parity.parquet")
    table = curves("notebook", 2, range(1, 3))
    with pytest.raises(errors.InputError, match="no rows"):
        plot_parity.read(save(tmp_path / "empty.parquet", table.iloc[:0]))


def luminance(colour: str) -> float:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_ink_and_colours_stand_out_on_light_and_dark_pages(page: str) -> None:
    for colour in [figures.INK, *figures.CYCLE, *figures.sequence(12)]:
        low, high = sorted([luminance(colour), luminance(page)])
        assert (high + 0.05) / (low + 0.05) >= 3, colour


def test_names_at_line_ends_keep_their_order_and_a_gap() -> None:
    heights = [0.0, 1.0, 1.0, 50.0, 52.0, 90.0]
    moved = figures._apart(heights, gap=10.0)
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(moved))
    assert moved[-1] == 90
    assert moved[:3] == pytest.approx([2 / 3 - 10, 2 / 3, 2 / 3 + 10])
