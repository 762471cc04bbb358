"""The tables of the CNN study: complete, right, the same every time, and honest about bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import QuantileRegressor

from stages.base import params
from stages.manifold import fits as cnn_fits
from stages.manifold import simulate
from stages.manifold.fits import Tables
from tests.helpers.clone import Clone
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT
from tests.helpers.tiny import write_params

NUMBERS = ["slope", "amplitude", "alpha", "alpha_low", "alpha_high"]
NUMBERS += ["dimension", "dimension_low", "dimension_high"]
SAMPLE = ["alpha_sklearn", "width_count", "runs", "rows", "status"]


def settings() -> params.Fit:
    fit = FROZEN.fit
    return params.Fit.model_validate(
        fit.model_dump()
        | {"resamples": 100, "widths": {"published": [1, 6]}}
        | {"sensitivity": {"widths": {"wide": [5, 8]}, "window": 4, "huber": 0.02}}
    )


def simulated() -> pd.DataFrame:
    """Two sweeps; one run of the notebook's at width 1 fails."""
    rng = np.random.default_rng(4)
    widths = range(1, 9)
    notebook = simulate.Truth(epochs=4, drift=10.0, failing=0.3)
    parts = [simulate.sweep(notebook, widths, 4, rng, "notebook")]
    parts += [simulate.sweep(simulate.Truth(epochs=3), widths, 3, rng, "paper")]
    return pd.concat(parts, ignore_index=True).astype({"sweep": "category"})


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulated()


@pytest.fixture(scope="module")
def tables(table: pd.DataFrame) -> Tables:
    return cnn_fits.fit(table, settings())


def only(frame: pd.DataFrame, **labels: object) -> pd.DataFrame:
    for column, value in labels.items():
        frame = frame[frame[column] == value]
    return frame


def test_there_is_one_fit_of_every_kind(tables: Tables) -> None:
    fits = tables.fits
    keys = ["sweep", "metric", "epochs", "quantile", "failed", "widths"]
    assert list(fits) == [*keys, "first_width", "last_width", *NUMBERS, *SAMPLE]
    assert not fits.duplicated(keys).any()
    assert [fits[key].nunique() for key in keys] == [2, 6, 4, 3, 2, 3]
    assert len(fits) == 2 * 6 * 4 * 3 * 2 * 3
    losses = fits[fits["metric"].str.endswith(("loss", "error"))]
    several = losses["status"].str.startswith("not unique: ")  # of 3 runs at 4 or 6 widths
    assert (several | (losses["status"] == "ok")).all()
    assert several.mean() < 0.1
    assert not losses[NUMBERS].isna().any(axis=None)


@pytest.mark.parametrize("metric", ["validation_loss", "train_error", "validation_accuracy"])
@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.8])
def test_pooled_fits_are_the_notebooks(
    metric: str, quantile: float, table: pd.DataFrame, tables: Tables
) -> None:
    rows = only(table, sweep="notebook").astype({"train_accuracy": float})
    values = 1 - rows["train_accuracy"] if metric == "train_error" else rows[metric].astype(float)
    oracle = QuantileRegressor(quantile=quantile, alpha=0, solver="highs")
    oracle.fit(np.log(rows[["parameters"]].to_numpy()), np.log(values.to_numpy()))
    (ours,) = only(
        tables.fits,
        sweep="notebook",
        metric=metric,
        epochs="pooled",
        quantile=quantile,
        failed="included",
        widths="all",
    ).itertuples()
    sign = 1 if metric == "validation_accuracy" else -1
    assert ours.slope == pytest.approx(oracle.coef_[0], abs=1e-6)
    assert np.log(ours.amplitude) == pytest.approx(oracle.intercept_, abs=1e-5)
    assert ours.alpha == pytest.approx(sign * oracle.coef_[0], abs=1e-6)
    assert (ours.runs, ours.rows) == (32, 128)


def test_failed_runs_are_counted_listed_and_left_out_only_where_it_says_so(
    tables: Tables,
) -> None:
    failed = tables.failed
    assert list(failed) == [
        *["sweep", "width", "runs", "failed", "at_chance", "not_finite", "short", "seeds"]
    ]
    assert len(failed) == 16
    (row,) = failed[failed["failed"] > 0].itertuples()
    assert (row.sweep, row.width, row.runs, row.failed, row.at_chance) == ("notebook", 1, 4, 1, 1)
    assert row.seeds.isdecimal()
    runs = tables.fits.groupby(["sweep", "failed", "widths"])["runs"].unique().map(list)
    assert runs["notebook", "included", "all"] == [32]
    assert runs["notebook", "excluded", "all"] == [31]
    assert runs["notebook", "excluded", "published"] == [23]
    assert runs["paper", "excluded", "all"] == [24]
    paper = only(tables.fits, sweep="paper").drop(columns="failed")
    pd.testing.assert_frame_equal(
        paper[::2].reset_index(drop=True), paper[1::2].reset_index(drop=True)
    )


def test_scikit_learn_makes_the_same_median_fits(tables: Tables) -> None:
    second = tables.fits.dropna(subset=["alpha_sklearn"])
    assert set(second["quantile"]) == {0.5}
    assert {*second["epochs"]} == {*settings().epochs}
    of_all = only(second, sweep="notebook")
    assert set(of_all["failed"]) == {"included"}
    assert set(only(of_all, epochs="pooled")["metric"]) == {"validation_loss"}
    assert len(of_all[of_all["epochs"] != "pooled"]) == 6 * 3 * 2
    unique = second[second["status"] == "ok"]
    np.testing.assert_allclose(unique["alpha_sklearn"], unique["alpha"], rtol=1e-6)
    assert not second["status"].str.contains("scikit-learn").any()


def test_that_scikit_learn_differs_is_a_status(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cnn_fits.second, "line", lambda *_: (-0.3, 1.0))
    fits = cnn_fits.fit(only(table, sweep="paper"), settings()).fits
    headline = only(fits, metric="validation_loss", epochs="best", quantile=0.5, failed="included")
    said = headline.set_index("widths")["status"].to_dict()
    differs = "scikit-learn differs: slope -0.3"
    assert said == {"all": differs, "published": differs, "wide": "ok"}


def test_best_epochs_are_quartiles_over_seeds(table: pd.DataFrame, tables: Tables) -> None:
    best = tables.best_epochs
    assert len(best) == 2 * 2 * 8
    assert (best["low"] <= best["median"]).all()
    row = only(best, sweep="notebook", epochs="best", width=3).iloc[0]
    runs = only(table, sweep="notebook", width=3).groupby("seed")
    smallest = [int(run.loc[run["validation_loss"].idxmin(), "epoch"]) for _, run in runs]
    assert row["median"] == np.median(smallest)
    assert row["last"] == 4


def test_sensitivity_varies_one_thing_at_a_time(tables: Tables) -> None:
    rows = only(tables.sensitivity, sweep="notebook", metric="validation_loss")
    levels = rows.groupby("factor", sort=False)["level"].unique().map(list).to_dict()
    assert levels == {
        "epochs": ["pooled", "last", "best", "best_error"],
        "epoch": ["1", "2", "3", "4"],
        "quantile": ["0.2", "0.5", "0.8"],
        "widths": ["all", "published", "wide"],
        "failed": ["included", "excluded"],
        "model": ["power_law", "irreducible_loss"],
    }
    base = {"quantile": 0.5, "widths": "all", "failed": "included", "model": "power_law"}
    plain = only(rows, **base)
    assert plain.groupby("epochs")["alpha"].nunique().eq(1).all()
    for factor, varied in [("quantile", "quantile"), ("widths", "widths"), ("failed", "failed")]:
        for row in only(rows, factor=factor).to_dict("records"):
            others = {key: value for key, value in base.items() if key != varied}
            assert {key: row[key] for key in others} == others
            assert str(row[varied]) == row["level"]
    assert set(only(rows, factor="model")["epochs"]) == {"last", "best", "best_error"}


def test_sensitivity_and_fits_say_the_same(tables: Tables) -> None:
    keys = ["sweep", "metric", "epochs", "quantile", "failed", "widths"]
    both = tables.sensitivity.merge(tables.fits, on=keys, suffixes=("", "_fits"))
    both = both[both["model"] == "power_law"]
    assert len(both) > 50
    for column in ("alpha", "alpha_low", "dimension_high", "rows"):
        np.testing.assert_array_equal(both[column], both[f"{column}_fits"])


def test_the_last_epoch_is_the_single_epoch_of_its_number(tables: Tables) -> None:
    for sweep, epoch in (("notebook", "4"), ("paper", "3")):
        rows = only(tables.sensitivity, sweep=sweep, metric="train_loss")
        last = only(rows, factor="epochs", level="last")
        single = only(rows, factor="epoch", level=epoch)
        assert last["alpha_low"].item() == single["alpha_low"].item()


def test_only_a_fit_with_an_irreducible_loss_has_one(tables: Tables) -> None:
    rows = tables.sensitivity
    floored = rows["model"] == "irreducible_loss"
    assert floored.sum() == 2 * 2 * 3
    assert rows.loc[floored, "irreducible"].notna().all()
    assert rows.loc[floored, "quantile"].isna().all()
    assert rows.loc[~floored, ["irreducible", "irreducible_low"]].isna().all(axis=None)


def test_local_slopes_slide_over_the_widths(tables: Tables) -> None:
    rows = only(tables.local_slopes, sweep="paper", metric="train_loss", epochs="best")
    assert rows["first_width"].tolist() == [1, 2, 3, 4, 5]
    assert rows["last_width"].tolist() == [4, 5, 6, 7, 8]
    assert rows["parameters"].is_monotonic_increasing
    sizes = [54 * n**2 + 4640 * n + 714 for n in (1, 2, 3, 4)]
    assert rows["parameters"].iloc[0] == pytest.approx(np.exp(np.log(sizes).mean()))
    assert (rows["width_count"] == 4).all()


def test_the_headline_is_what_the_fits_say(table: pd.DataFrame, tables: Tables) -> None:
    shown = tables.headline["notebook"]
    assert (shown["runs"], shown["failed"]) == (32, 1)
    for epochs in settings().epochs:
        (fit,) = only(
            tables.fits,
            sweep="notebook",
            metric="validation_loss",
            epochs=epochs,
            quantile=0.5,
            failed="included",
            widths="all",
        ).itertuples()
        for name in ("alpha", "dimension", "dimension_low", "dimension_high"):
            assert shown["validation_loss"][epochs][name] == pytest.approx(
                getattr(fit, name), rel=1e-3
            )
    median = shown["validation_loss_at_width_13"]
    assert median == dict.fromkeys(settings().epochs)  # widths end at 8
    nearer = cnn_fits.fit(table, settings().model_copy(update={"compare_width": 8}))
    last = only(table, sweep="notebook", width=8, epoch=4)["validation_loss"].median()
    median = nearer.headline["notebook"]["validation_loss_at_width_8"]
    assert median["last"] == pytest.approx(last, rel=1e-3)


def test_the_order_of_rows_changes_no_number(table: pd.DataFrame, tables: Tables) -> None:
    again = cnn_fits.fit(table.sample(frac=1, random_state=0), settings())
    for name in ("fits", "sensitivity", "local_slopes", "failed"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(tables, name))
    assert again.headline == tables.headline


Spoil = Callable[[pd.DataFrame], None]


def spoilt(spoil: Spoil) -> Tables:
    table = only(simulated(), sweep="paper").reset_index(drop=True)
    spoil(table)
    return cnn_fits.fit(table, settings())


def test_a_run_that_became_nan_is_a_failed_run() -> None:
    def spoil(table: pd.DataFrame) -> None:
        broken = (table["width"] == 2) & (table["seed"] == 1) & (table["epoch"] >= 2)
        table.loc[broken, ["train_loss", "validation_loss"]] = np.nan

    tables = spoilt(spoil)
    (row,) = tables.failed[tables.failed["failed"] > 0].itertuples()
    assert (row.width, row.not_finite, row.seeds) == (2, 1, "1")
    fits = only(tables.fits, metric="validation_loss", widths="all")
    last = only(fits, epochs="last", quantile=0.5).set_index("failed")
    assert last.loc["included", "status"] == "1 of 24 values zero, negative or not finite"
    assert last.loc["included", NUMBERS].isna().all()
    assert last.loc["excluded", "status"] == "ok"
    headline = tables.headline["paper"]
    assert headline["failed"] == 1
    assert headline["validation_loss"]["last"]["alpha"] is None
    assert headline["validation_loss"]["best"]["alpha"] is not None  # from its first epoch
    json.dumps(tables.headline, allow_nan=False)


def test_a_zero_loss_has_no_logarithm() -> None:
    def spoil(table: pd.DataFrame) -> None:
        table.loc[(table["width"] == 8) & (table["epoch"] == 3), "train_loss"] = 0

    fits = only(spoilt(spoil).fits, metric="train_loss", epochs="last", quantile=0.2)
    broken = only(fits, widths="all")
    assert set(broken["status"]) == {"3 of 24 values zero, negative or not finite"}
    assert broken[NUMBERS].isna().all(axis=None)
    assert set(only(fits, widths="published")["status"]) == {"ok"}


def test_a_constant_column_has_no_exponent() -> None:
    def spoil(table: pd.DataFrame) -> None:
        table["validation_accuracy"] = np.float32(0.1)

    fits = spoilt(spoil).fits
    constant = fits[fits["metric"].isin(["validation_accuracy", "validation_error"])]
    assert set(constant["status"]) == {"all values are equal"}
    assert constant[NUMBERS].isna().all(axis=None)
    assert set(only(fits, metric="validation_loss")["status"]) == {"ok"}


def test_two_widths_of_one_run_give_statuses_and_no_numbers() -> None:
    table = simulate.sweep(simulate.Truth(), [1, 2], 1, np.random.default_rng(0))
    tables = cnn_fits.fit(table, settings())
    for frame in (tables.fits, tables.sensitivity):
        assert frame["status"].str.startswith("too few widths").all()
        assert frame[["alpha", "alpha_low", "dimension"]].isna().all(axis=None)
    assert tables.local_slopes.empty
    assert "alpha" in tables.local_slopes


def test_a_sweep_of_failed_runs_only_is_told() -> None:
    def spoil(table: pd.DataFrame) -> None:
        table[["train_loss", "validation_loss"]] = np.float32(simulate.CHANCE)

    tables = spoilt(spoil)
    assert tables.failed["failed"].tolist() == [3] * 8
    losses = tables.fits[tables.fits["metric"].str.endswith("loss")]
    assert set(only(losses, failed="included")["status"]) == {"all values are equal"}
    assert set(only(losses, failed="excluded")["status"]) == {"too few widths: 0 of at least 3"}
    assert set(only(losses, failed="excluded")["runs"]) == {0}


# The stage


def stage(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.fit_cnn"]
    command += ["--table", "cnn.parquet", "--output", "tables"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = FROZEN.model_dump()
    whole["fit"] = settings().model_dump()
    write_params(tmp_path, whole)
    only(simulated(), sweep="paper").to_parquet(tmp_path / "cnn.parquet", index=False)
    return tmp_path


@pytest.mark.long
def test_the_stage_writes_the_same_bytes_twice(folder: Path) -> None:
    written = []
    for _ in range(2):
        done = stage(folder)
        assert done.returncode == 0, done.stderr
        written.append({path.name: path.read_bytes() for path in (folder / "tables").iterdir()})
    names = ["cnn.json"] + [f"cnn_{n}.csv" for n in ("best_epochs", "failed", "fits")]
    assert sorted(written[0]) == sorted([*names, "cnn_local_slopes.csv", "cnn_sensitivity.csv"])
    assert written[0] == written[1]
    fits = pd.read_csv(folder / "tables" / "cnn_fits.csv")
    assert fits["alpha"].between(0, 1).any()
    assert json.loads(written[0]["cnn.json"])["paper"]["runs"] == 24


def nothing(path: Path) -> None:
    path.unlink()


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def short(path: Path) -> None:
    pd.read_parquet(path).drop(columns="train_loss").to_parquet(path)


def empty(path: Path) -> None:
    pd.read_parquet(path).head(0).to_parquet(path)


@pytest.mark.parametrize("spoil", [nothing, half, short, empty])
def test_a_table_that_cannot_be_used_stops_the_stage_with_one_line(
    spoil: Callable[[Path], None], folder: Path
) -> None:
    earlier = folder / "tables" / "cnn_fits.csv"
    earlier.parent.mkdir()
    earlier.write_text("earlier\n")
    spoil(folder / "cnn.parquet")
    done = stage(folder)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: cnn.parquet: ")
    assert "make it again: dvc repro" in done.stderr
    assert earlier.read_text() == "earlier\n"
    assert len(list((folder / "tables").iterdir())) == 1


def test_dvc_shows_the_headline(clone: Clone, tables: Tables) -> None:
    metrics = clone.root / "metrics" / "cnn.json"
    metrics.parent.mkdir(exist_ok=True)
    headline = json.loads(json.dumps(tables.headline))
    headline["paper"]["validation_loss"]["last"]["alpha"] = None
    metrics.write_text(json.dumps(headline))
    shown = clone.run("dvc", "metrics", "show", "--md", "metrics/cnn.json").stdout
    assert "notebook.validation_loss.best.dimension_high" in shown
    assert str(headline["notebook"]["validation_loss"]["best"]["dimension"]) in shown
