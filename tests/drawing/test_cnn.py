"""The CNN figures: drawn from tables alone, the same bytes each time, whatever is missing."""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from stages import plot_cnn
from stages.base import errors, params
from stages.drawing import style
from stages.drawing.cnn import Drawn
from stages.manifold import fits as cnn_fits
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT

P = FROZEN
PUBLISHED = params.published(ROOT / "published.yaml").sharma_kaplan
WIDTHS = [1, 2, 3, 4, 5]


def sweep(name: str, widths: list[int], seeds: int = 3, epochs: int = 2) -> pd.DataFrame:
    """Runs whose losses fall with N and with the epoch, at each seed a little differently."""
    rows = pd.MultiIndex.from_product(
        [widths, range(seeds), range(1, epochs + 1)], names=["width", "seed", "epoch"]
    ).to_frame(index=False)
    noise = np.random.default_rng(0).normal(0, 0.02, len(rows))
    n = 54 * rows["width"] ** 2 + 4640 * rows["width"] + 714
    loss = (12 * n**-0.25 * (1 + 0.5 / rows["epoch"]) * np.exp(noise)).astype(float)
    return rows.assign(
        sweep=name,
        parameters=n,
        train_loss=loss,
        validation_loss=1.1 * loss,
        train_accuracy=np.exp(-loss),
        evaluated_train_loss=np.nan,
        evaluated_train_accuracy=np.nan,
        validation_accuracy=np.exp(-1.1 * loss),
    )


def tables(folder: Path, *runs: pd.DataFrame) -> Path:
    """What stages aggregate_cnn and fit_cnn would leave in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.concat(runs, ignore_index=True)
    table.to_parquet(folder / "cnn.parquet")
    fitted = cnn_fits.fit(table, P.fit.model_copy(update={"resamples": 100}))
    for name in ["fits", "sensitivity", "local_slopes"]:
        getattr(fitted, name).to_csv(folder / f"cnn_{name}.csv", index=False)
    return folder


def draw(folder: Path, output: Path) -> dict[str, bytes]:
    found = Drawn.read(folder)
    with style.drawing():
        plot_cnn.draw(found, P, PUBLISHED, output)
        plot_cnn.draw_sweeps(found, found.sweeps, P.plot, output / "sweeps")
    return {path.name: path.read_bytes() for path in files(output)}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def text(svg: bytes) -> str:
    return " ".join(ElementTree.fromstring(svg).itertext())


def figure_6(folder: Path, p: params.Params = P) -> str:
    with style.drawing():
        plot_cnn.draw(Drawn.read(folder), p, PUBLISHED, folder / "plots")
    return text((folder / "plots/cnn_figure6.svg").read_bytes())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = sweep("notebook", WIDTHS[:3]), sweep("paper", WIDTHS)
    return tables(tmp_path_factory.mktemp("two"), *runs)


@pytest.fixture(scope="module")
def plots(two: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plots")
    draw(two, folder)
    return folder


@pytest.fixture(scope="module")
def rising(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What Figure 6 says of a sweep alone whose test loss rises."""
    runs = sweep("mine", WIDTHS)
    runs["validation_loss"] = 1 / runs["train_loss"]
    return figure_6(tables(tmp_path_factory.mktemp("rising"), runs))


def test_every_figure_and_series_has_the_same_bytes_each_time(
    two: Path, plots: Path, tmp_path: Path
) -> None:
    once = {path.name: path.read_bytes() for path in files(plots)}
    assert once == draw(two, tmp_path)
    names = {"epochs.svg", "figure6.svg", "sensitivity.svg", "local_slopes.svg"}
    names |= {"curves.csv", "dimension_by_epoch.csv", "local_slopes.csv", "published.csv"}
    names |= {f"{kind}_{of}.svg" for kind in ("scaling", "violin") for of in ("notebook", "paper")}
    assert set(once) == {f"cnn_{name}" for name in names}
    assert all(len(content) < 400_000 for content in once.values())


def test_a_figure_is_titled_and_shows_the_fitted_numbers(two: Path, plots: Path) -> None:
    fits = Drawn.read(two).fit("paper", "train_loss", "pooled")
    shown = text((plots / "sweeps/cnn_scaling_paper.svg").read_bytes())
    assert f"{fits['dimension']:.1f} ({fits['dimension_low']:.1f} to" in shown
    for path in plots.rglob("*.svg"):
        root = ElementTree.parse(path).getroot()
        assert root.find("{http://www.w3.org/2000/svg}title") is not None, path.name


def test_ours_stands_beside_each_published_number(plots: Path) -> None:
    table = pd.read_csv(plots / "cnn_published.csv")
    assert set(table["metric"]) == {"test_loss", "train_loss", "test_error", "train_error"}
    assert set(table["sweep"]) == {"notebook", "paper"}
    test_loss = table[table["metric"] == "test_loss"]
    assert set(test_loss["published"]) == {PUBLISHED.test_loss}
    assert test_loss["dimension"].between(10, 25).all()


def test_series_for_dvc_are_small_and_name_their_lines(plots: Path) -> None:
    for path in plots.glob("cnn_*.csv"):
        assert 0 < len(pd.read_csv(path)) < 2000
    curves = pd.read_csv(plots / "cnn_curves.csv")
    assert set(curves["series"]) == {
        f"{name}, {choice} epoch" for name in ("notebook", "paper") for choice in ("last", "best")
    }
    assert (curves["low"] <= curves["validation_loss"]).all()
    assert (curves["validation_loss"] <= curves["high"]).all()


def test_a_sweep_alone_is_compared_under_its_own_name(rising: str) -> None:
    assert "ours, mine" in rising


def test_an_imported_sweep_is_not_called_ours(two: Path, tmp_path: Path) -> None:
    shutil.copytree(two, tmp_path, dirs_exist_ok=True)
    shown = figure_6(tmp_path, P.model_copy(update={"imports": {"paper": None}}))
    assert "ours, notebook" in shown
    assert "ours, paper" not in shown
    assert "paper" in shown


def test_other_images_are_named_beside_those_of_the_published_numbers(
    two: Path, plots: Path, tmp_path: Path
) -> None:
    assert "CIFAR-10" not in text((plots / "cnn_figure6.svg").read_bytes())
    shutil.copytree(two, tmp_path, dirs_exist_ok=True)
    other = P.model_copy(update={"images": {P.cnn.images: params.PublishedImages(source="svhn")}})
    shown = figure_6(tmp_path, other)
    assert "SVHN" in shown
    assert "CIFAR-10" in shown


def test_one_width_is_drawn_and_said_to_have_no_fit(tmp_path: Path) -> None:
    folder = tables(tmp_path / "tables", sweep("paper", [2]))
    drawn = draw(folder, tmp_path / "plots")
    assert "no fit" in text(drawn["cnn_scaling_paper.svg"])
    assert "no fit: pooled" in text(drawn["cnn_epochs.svg"])


def test_a_loss_that_rises_with_n_has_no_dimension(rising: str) -> None:
    assert "none, \N{GREEK SMALL LETTER ALPHA} ≤ 0" in rising


def test_values_that_have_no_logarithm_are_left_out(tmp_path: Path) -> None:
    runs = sweep("paper", WIDTHS)
    runs.loc[0, ["train_loss", "validation_loss"]] = [np.nan, np.inf]
    runs.loc[1, "train_accuracy"] = 0.0
    with style.drawing():
        found = Drawn.read(tables(tmp_path / "tables", runs))
        plot_cnn.draw_sweeps(found, ["paper"], P.plot, tmp_path / "plots")
    for path in (tmp_path / "plots").iterdir():
        assert "nan" not in path.read_text()


def test_a_sweep_that_is_gone_takes_its_figures_with_it(two: Path, tmp_path: Path) -> None:
    for sweeps in (["notebook", "paper"], ["paper"]):
        with style.drawing():
            plot_cnn.draw_sweeps(Drawn.read(two), sweeps, P.plot, tmp_path)
        kinds = ("scaling", "violin")
        drawn = {f"cnn_{kind}_{name}.svg" for kind in kinds for name in sweeps}
        assert {path.name for path in tmp_path.iterdir()} == drawn


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match=r"cnn\.parquet: .*make it again: dvc repro"):
        Drawn.read(tmp_path)
    assert not list(tmp_path.iterdir())


def test_drawing_imports_no_torch() -> None:
    code = "import sys, stages.plot_cnn; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
