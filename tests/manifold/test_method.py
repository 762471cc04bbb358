"""The method where the truth is known: what is said of simulated sweeps; the stages in a row."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

from stages import (
    aggregate_cnn,
    calibrate_dimension,
    download,
    fit_method,
    measure_cnn,
    measure_dimension,
    measure_images,
    measure_study,
    train_study,
)
from stages.base import params
from stages.base.errors import InputError
from stages.base.params import DimensionRule
from stages.cnn.network import initial
from stages.cnn.part import sweep_part
from stages.dimension.estimators import measure
from stages.drawing import style
from stages.drawing.method import draw
from stages.images.stored import stored
from stages.manifold import method
from tests.helpers.frozen import FROZEN
from tests.helpers.rows import rows
from tests.helpers.simulated_cnn import RESAMPLING, WIDTHS, sweep
from tests.helpers.tiny import write_params

RULE = DimensionRule(
    sweep="paper", widths="all", layer="preactivation", estimator="ratio", neighbours=2
)


def measured(value: float) -> pd.DataFrame:
    """A table of dimensions in which all that is asked for reads about the same."""
    widths = pd.array([pd.NA, *WIDTHS], "Int64")
    frame = pd.DataFrame({"width": widths, "estimator": "ratio", "neighbours": 2, "blocks": 1})
    values = value * np.linspace(0.99, 1.01, len(widths))
    frame = frame.assign(status="ok", dimension=values, low=0.99 * values, high=1.01 * values)
    of_networks = frame["width"].notna()
    frame["layer"] = np.where(of_networks, "preactivation", None)
    frame["epochs"], frame["seed"] = np.where(of_networks, "last", None), 0
    others = [
        frame[of_networks].assign(layer=layer, dimension=factor * values[of_networks])
        for layer, factor in [("activation", 0.8), ("logits", 0.5)]
    ]
    return pd.concat([frame, *others])


CALIBRATION = pd.DataFrame(
    {"shape": ["uniform", "gaussian"], "known": 4, "estimator": "ratio", "neighbours": 2}
    | {"blocks": 1, "status": "ok", "dimension": [3.8, 9.9], "low": 3.7, "high": 3.9}
)


def readings(sweeps: dict[int, pd.DataFrame], value: float = 4) -> pd.DataFrame:
    dimensions = {known: measured(value) for known in sweeps}
    return method.table(sweeps, dimensions, CALIBRATION, "best", RULE, 0.1, RESAMPLING)


def test_a_known_exponent_agrees_and_another_differs() -> None:
    table = readings({4: sweep(4, 4), 8: sweep(16, 8)})
    rows = table[table["widths"] == "all"].set_index(["known", "quantity"])
    assert rows.loc[(4, "test_loss"), "dimension"] == pytest.approx(4, rel=0.03)
    assert rows.loc[(4, "test_loss"), "outcome"] == "equivalent"
    assert rows.loc[(8, "test_loss"), "ratio"] == pytest.approx(2, rel=0.05)
    assert rows.loc[(8, "test_loss"), "outcome"] == "different"
    assert rows.loc[(4, "images"), "outcome"] == "equivalent"
    assert rows.loc[(4, "preactivation"), "outcome"] == "equivalent"
    assert rows.loc[(8, "preactivation"), "outcome"] == "different"
    ratio = rows.loc[(4, "activation"), "ratio"] / rows.loc[(4, "preactivation"), "ratio"]
    assert ratio == pytest.approx(0.8)
    assert rows.loc[(4, "cube"), ["dimension", "low", "high"]].tolist() == [3.8, 3.7, 3.9]
    assert rows.loc[(8, "cube"), "status"] == "not among dimension.known.dimensions"
    said = method.statement(table, 0.1)
    assert said.startswith(
        "4/alpha of the test loss, held against d to 10%: "
        "equivalent at d = 4, different at d = 8, undecided at none."
    )


def test_a_bend_shows_in_the_halves() -> None:
    table = readings({4: sweep(8, 4, bend=-0.1)}).query("quantity == 'test_loss'")
    values = table.set_index("widths")["dimension"]
    assert values["wider"] < 0.7 * values["narrower"]
    straight = readings({4: sweep(4, 4)}).query("quantity == 'test_loss'")
    values = straight.set_index("widths")["dimension"]
    assert values["wider"] == pytest.approx(values["narrower"], rel=0.1)


def test_a_loss_that_rises_has_no_dimension_and_the_statement_says_so() -> None:
    table = readings({4: sweep(-8, 4)})
    row = table.query("quantity == 'test_loss' and widths == 'all'").iloc[0]
    assert np.isnan(row["dimension"])
    assert row["outcome"] == "undecided"
    said = method.statement(table, 0.1)
    assert "equivalent at none, different at none, undecided at d = 4." in said
    assert "test loss none (no 4/alpha: alpha is not above 0)" in said


def test_halves_of_widths_share_the_middle_one() -> None:
    assert method.halves([3, 1, 2]) == {"all": (1, 3), "narrower": (1, 2), "wider": (2, 3)}
    assert method.halves([1, 2, 3, 4])["wider"] == (3, 4)


@pytest.fixture
def small(tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml whose studies take seconds on the CPU, and no sweeps' parts."""
    content = tiny_params
    training = content["cnn"]["sweeps"]["paper"] | {"epochs": 2, "seeds": 2, "batch_size": 32}
    images = {"source": "manifold", "seed": 0, "train": 200, "test": 150, "patches": 5}
    content["images"] |= {f"m{d}": images | {"dimension": d} for d in (2, 3)}
    content["cnn"] |= {"images": "m2", "widths": [1]}
    content["studies"] = {
        name: {"images": made, "network": "cnn", "widths": [1, 2, 3], "training": training}
        for name, made in (("of_2", "m2"), ("of_3", "m3"), ("m3", "m3"))
    }
    content["regime"]["studies"] = ["m3"]
    content["dimension"] |= {"ratio_neighbours": [2], "likelihood_neighbours": [2]}
    content["dimension"]["known"] = {"samples": 150, "dimensions": [2, 3], "compare": 2}
    write_params(tmp_path, content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALING_DEVICE", "cpu")
    return tmp_path


def drawn(table: pd.DataFrame, losses: pd.DataFrame, path: Path) -> str:
    """The figure of a table, as it is saved."""
    with style.drawing():
        style.save_svg(draw(table, losses, FROZEN.plot), path, "A title")
    return path.read_text()


def run(monkeypatch: pytest.MonkeyPatch, stage: ModuleType, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", [stage.__name__, *arguments])
    stage.main()


def test_the_stages_make_the_figure_and_the_same_bytes_again(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("m2", "m3"):
        run(monkeypatch, download, name)
    for name in ("of_2", "of_3", "m3"):
        run(monkeypatch, train_study, name)
    folder = small / "metrics/runs/studies"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    kinds = ("parquet", "safetensors")
    assert set(first) == {f"{name}.{k}" for name in ("of_2", "of_3", "m3") for k in kinds}
    run(monkeypatch, train_study, "of_2")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert len(pd.read_parquet(folder / "of_3.parquet")) == 3 * 2 * 2  # widths, seeds, epochs

    p = params.load()
    for name, settings in p.cnn.sweeps.items():
        made = sweep_part(p.cnn_images, name, settings, 1)
        made.path.parent.mkdir(exist_ok=True)
        save_file(initial(1, 0).state_dict(), made.weights)
        made.write(rows(made))
    for name in p.studies:
        run(monkeypatch, measure_study, name)
    run(monkeypatch, aggregate_cnn)
    for stage in (calibrate_dimension, measure_images, measure_cnn, measure_dimension):
        run(monkeypatch, stage)
    table = pd.read_csv(small / "metrics/dimension.csv")
    key = ["source", "width", "layer", "estimator", "neighbours", "blocks"]
    assert not table.duplicated(key).any()
    sources = {"images", "images m3", *p.cnn.sweeps, *p.studies}
    assert set(table["source"]) == sources  # once, whoever has these images

    run(monkeypatch, train_study, "m3", "--regime")
    run(monkeypatch, fit_method)
    found = pd.read_csv(small / "metrics/method.csv")
    assert set(found["known"]) == {2, 3}
    layers = {"preactivation", "activation", "logits"}
    assert set(found["quantity"]) == {"test_loss", "train_loss", "images", "cube"} | layers
    of_images = found[found["quantity"] == "images"].set_index("known")["dimension"]
    points = stored("m3", p.images["m3"]).test_images.reshape(150, -1)
    [reading] = [
        e.dimension
        for e in measure(points, p.dimension)
        if (e.estimator, e.neighbours, e.blocks)
        == (p.verdict.dimension.estimator, p.verdict.dimension.neighbours, 1)
    ]
    assert of_images[3] == pytest.approx(reading, rel=1e-4)
    said = (small / "metrics/method.md").read_text()
    assert re.search(r"^- d = 3: 4/alpha of the test loss ", said, re.MULTILINE)
    svg = drawn(found, pd.read_csv(small / "metrics/method_losses.csv"), small / "method.svg")
    for text in ("the true d", "images", "True dimension d of the images", "d = 3"):
        assert text in svg

    found = pd.read_csv(small / "metrics/regime.csv")
    assert set(found["change"]) == {"unchanged", *p.regime.changes}
    assert set(found["known"]) == {3}
    same = {"all": "test_loss", "wider": "train_loss"}
    of_3 = pd.read_csv(small / "metrics/method.csv").query("known == 3")
    for widths, quantity in same.items():  # of_3 is trained as m3 is, on the same images
        here = f"quantity == '{quantity}' and widths == '{widths}'"
        unchanged = found.query(f"change == 'unchanged' and {here}")["dimension"]
        np.testing.assert_array_equal(unchanged, of_3.query(here)["dimension"])
    assert (small / "metrics/regime.md").read_text().splitlines()[-1].startswith("- d = 3: unch")

    (folder / "of_2.safetensors").unlink()
    with pytest.raises(InputError, match=r"of_2\.safetensors: No such file.*; train it again"):
        run(monkeypatch, measure_study, "of_2")
    (folder / "of_3.parquet").unlink()
    with pytest.raises(InputError, match=r"of_3\.parquet: missing; .*train it again"):
        run(monkeypatch, measure_study, "of_3")


def test_where_no_dimension_is_known_that_is_said(tmp_path: Path) -> None:
    table = method.table({}, {}, CALIBRATION, "best", RULE, 0.1, RESAMPLING)
    losses = method.losses({}, "best")
    assert table.empty
    assert losses.empty
    assert "equivalent at none, different at none, undecided at none" in method.statement(
        table, 0.1
    )
    svg = drawn(table, losses, tmp_path / "method.svg")
    assert "No study is on images of known dimension" in svg


def test_an_unknown_study_is_one_line(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="studies: no 'of_5'; there is of_2, of_3, m3"):
        run(monkeypatch, train_study, "of_5")
