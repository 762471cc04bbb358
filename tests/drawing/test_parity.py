"""The parity figures and their series: drawn from the tables alone, the same bytes each time."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from stages import fit_parity, plot_parity
from stages.base import errors, params
from stages.drawing import parity, parity_emergence, style
from stages.drawing.parity import Drawn
from stages.parity.tasks import frequencies
from stages.quanta.fits import BIT
from stages.quanta.simulate import Truth
from tests.helpers import simulated_parity
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT
from tests.helpers.tiny import write_params

P = FROZEN
PUBLISHED = params.published(ROOT / "published.yaml").michaud
NOTEBOOK = simulated_parity.configuration(
    tasks=10, widths=[200], logits=1, steps=2500, evaluate_every=10, seeds=5
)
LIMITED = {
    **{"widths": [200], "samples": [50_000, 200_000, 600_000, 2_000_000]},
    **{"steps": 5000, "evaluate_every": 100},
}
PAPERS = {
    "widths": simulated_parity.configuration(tasks=500),
    "samples": simulated_parity.configuration(
        tasks=500, widths=[200], steps=5000, task_curves=0, data_limited=LIMITED
    ),
    "falling_01": simulated_parity.configuration(tasks=500, alpha=0.1, task_curves=0),
    "falling_04": simulated_parity.configuration(tasks=500, task_curves=0, data_limited=LIMITED),
}


def made(folder: Path, configurations: dict[str, params.ParityConfiguration]) -> Path:
    """A folder with params.yaml, the tables and figures of simulated runs."""
    truth = Truth(np.ones(1), time=500, per_width=0.2)
    simulated = simulated_parity.tables(configurations, truth)
    simulated_parity.save(folder / "metrics", simulated, configurations)
    content = P.model_dump()
    content["verdict"]["parity"]["exponents"] = "falling_"
    content["quanta"]["resamples"] = 100
    write_params(folder, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["stage"])
        fit_parity.main()
        plot_parity.main()
    return folder


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("notebook"), {"notebook": NOTEBOOK})


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("full"), {"notebook": NOTEBOOK} | PAPERS)


def texts(path: Path) -> str:
    svg = ElementTree.parse(path)
    found = [element for element in svg.iter() if element.tag.endswith("}text")]
    return " | ".join("".join(element.itertext()).strip() for element in found)


def test_the_series_is_the_median_over_seeds_and_its_band(notebook: Path) -> None:
    tables = Drawn.read(notebook / "metrics")
    drawn = parity.series(tables, P.plot)
    assert set(drawn["series"]) == {f"task {i}" for i in range(1, 11)} | {"mean"}
    assert drawn["step"].max() == 2500
    step = drawn["step"].iloc[5]
    shown = drawn[drawn["step"] == step].set_index("series")
    losses = tables.curves.query("step == @step and task == 3")["loss"] / BIT
    assert shown["loss"]["task 3"] == pytest.approx(losses.median())
    assert shown["low"]["task 3"] == pytest.approx(losses.quantile(P.plot.band[0]))
    means = tables.losses.query("step == @step")["mean_loss"] / BIT
    assert shown["loss"]["mean"] == pytest.approx(means.median())


def test_of_many_tasks_some_are_drawn(full: Path) -> None:
    drawn = parity.series(Drawn.read(full / "metrics"), P.plot)
    assert set(drawn["configuration"]) == {"notebook", "widths"}  # those that kept curves
    names = drawn.loc[drawn["configuration"] == "widths", "series"].unique()
    tasks = [int(name.split()[1]) for name in names if name != "mean"]
    assert len(tasks) <= parity.TASKS
    assert (tasks[0], tasks[-1]) == (1, 500)
    heat = parity_emergence.heat_series(Drawn.read(full / "metrics"))
    assert heat.groupby("configuration")["task"].nunique().max() <= parity_emergence.HEAT_TASKS
    assert heat["loss"].between(0, 1.01).all()


def test_learning_times_are_of_tasks_that_most_seeds_learned(full: Path) -> None:
    table = pd.read_csv(full / "plots/parity_learning_times.csv")
    widths = table[table["series"] == "widths"]
    assert (widths["seeds"] >= 2).all()
    np.testing.assert_allclose(
        widths["frequency"], frequencies(500, 0.4)[widths["task"] - 1], rtol=1e-4
    )
    slope = np.polyfit(np.log(widths["frequency"]), np.log(widths["learned"]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.1)
    tasks = pd.read_parquet(full / "metrics/parity_tasks.parquet")
    of_first = tasks.query("configuration == 'widths' and task == 1 and width == 200")
    [found] = widths.query("task == 1")["learned"]
    assert P.verdict.parity.learning.definition == "first_under"
    assert found == of_first["first_under"].median()


def test_losses_are_medians_beside_the_published(full: Path) -> None:
    runs = pd.read_csv(full / "metrics/parity_runs.csv")
    table = pd.read_csv(full / "plots/parity_loss_by_parameters.csv")
    assert set(table["series"]) == {"notebook", *PAPERS, "published"}
    widths = table[table["series"] == "widths"].set_index("size")["loss"]
    expected = runs.query("configuration == 'widths'").groupby("parameters")["final_loss"].median()
    np.testing.assert_allclose(widths, expected, rtol=1e-4)
    samples = pd.read_csv(full / "plots/parity_loss_by_samples.csv")
    assert set(samples["series"]) == {"samples", "falling_04", "published"}
    assert samples.groupby("series").size()["samples"] == 4


def test_exponents_stand_beside_theory_and_the_published(full: Path) -> None:
    table = pd.read_csv(full / "plots/parity_exponents.csv").set_index(["series", "alpha"])
    assert table["value"]["alpha_N, theory", 0.4] == 0.4
    assert table["value"]["alpha_S, theory", 0.8] == pytest.approx(0.8 / 1.8, abs=1e-5)
    assert table["value"]["alpha_N, theory for 500 tasks", 0.1] == pytest.approx(0.279, abs=1e-3)
    assert table["value"]["alpha_D, published", 0.5] == 0.335
    ours = table.xs("alpha_N")
    assert ours.index.tolist() == [0.1, 0.4]  # those of the family falling_*
    assert (ours["low"] < ours["value"]).all()
    assert table["value"]["alpha_N, widths", 0.4] != ours["value"][0.4]


def test_figures_show_what_there_is(full: Path) -> None:
    drawn = {path.stem: texts(path) for path in (full / "plots").glob("*.svg")}
    assert len(drawn) == len(plot_parity.TITLES) == 5
    assert not any("Not trained" in words for words in drawn.values())
    assert "500" in drawn["parity_curves"]
    assert "all tasks, censored" in drawn["parity_learning_times"]
    assert "published" in drawn["parity_learning_times"]
    assert "Training samples D" in drawn["parity_scaling"]
    assert "theory for 500 tasks" in drawn["parity_exponents"]
    assert "0.1: slope 0.279" in drawn["parity_exponents"]


def test_figures_say_what_is_not_trained(notebook: Path) -> None:
    scaling = texts(notebook / "plots/parity_scaling.svg")
    assert scaling.count("Not trained:") == 6
    assert "configuration widths" in scaling
    assert "configurations falling_*" in scaling
    assert texts(notebook / "plots/parity_exponents.svg").count("ours: not trained") == 3
    assert "8, 9, 10" in texts(notebook / "plots/parity_curves.svg")


def test_the_stage_writes_the_same_bytes_twice(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(notebook)
    monkeypatch.setattr("sys.argv", ["plot_parity", "--output", str(tmp_path)])
    plot_parity.main()
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 5 + 7
    for name in names:
        assert (tmp_path / name).read_bytes() == (notebook / "plots" / name).read_bytes()


def test_configurations_without_curves_are_no_fault(notebook: Path) -> None:
    tables = Drawn.read(notebook / "metrics")
    bare = Drawn(**tables._asdict() | {"curves": tables.curves.iloc[:0]})
    assert parity_emergence.heat_series(bare).empty
    series = parity.series(bare, P.plot)
    assert list(series.columns[:2]) == ["configuration", "series"]
    for figure in (
        parity.curves(series, {"notebook": NOTEBOOK}, P.plot),
        parity_emergence.heat_map(bare, {"notebook": NOTEBOOK}, P.plot, "first_under"),
        parity_emergence.learning_times(
            bare, {"notebook": NOTEBOOK}, P.plot, PUBLISHED, 0.4, "first_under"
        ),
    ):
        said = [text.get_text() for text in figure.axes[0].texts]
        assert said == ["No configuration keeps the curves of its tasks (task_curves)."]


def test_a_table_that_cannot_be_drawn_is_refused(notebook: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match=r"parity_losses.*make it again: dvc repro"):
        Drawn.read(tmp_path)
    for path in (notebook / "metrics").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "parity_runs.csv").unlink()
    with pytest.raises(errors.InputError, match=r"parity_runs.*make it again: dvc repro"):
        Drawn.read(tmp_path)
    (tmp_path / "parity_runs.csv").write_text("configuration,width\n")
    with pytest.raises(errors.InputError, match="no rows"):
        Drawn.read(tmp_path)


def luminance(colour: str) -> float:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_ink_and_colours_stand_out_on_light_and_dark_pages(page: str) -> None:
    for colour in [style.INK, *style.CYCLE, *style.sequence(12)]:
        low, high = sorted([luminance(colour), luminance(page)])
        assert (high + 0.05) / (low + 0.05) >= 3, colour


def test_names_at_line_ends_keep_their_order_and_a_gap() -> None:
    heights = [0.0, 1.0, 1.0, 50.0, 52.0, 90.0]
    moved = style._apart(heights, gap=10.0)
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(moved))
    assert moved[-1] == 90
    assert moved[:3] == pytest.approx([2 / 3 - 10, 2 / 3, 2 / 3 + 10])
