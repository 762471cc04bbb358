"""What is taken from a sweep to be fitted: metrics, epochs, and runs that did not fail."""

import numpy as np
import pandas as pd
import pytest

from stages.cnn.part import SCHEMA
from stages.manifold import samples, selection, simulate


def table(**truth: float) -> pd.DataFrame:
    return simulate.sweep(
        simulate.Truth(epochs=6, **truth),
        [1, 2, 5],
        4,
        np.random.default_rng(0),
    )


def test_simulated_sweeps_look_like_real_ones() -> None:
    simulated = table()
    assert list(simulated) == SCHEMA.names
    kinds = [str(kind) for kind in simulated.dtypes]
    assert kinds == ["category", *["int32"] * 4, *["float32"] * 6]
    assert simulated["parameters"].unique().tolist() == [5408, 10210, 25264]


def test_epochs_are_all_the_last_the_best_or_one() -> None:
    rows = table(drift=1.0)
    pd.testing.assert_frame_equal(selection.choose(rows, "pooled"), rows)
    runs = rows[selection.RUN].drop_duplicates()
    for epochs in ("last", "best", "3"):
        assert len(selection.choose(rows, epochs)) == len(runs)
    assert set(selection.choose(rows, "last")["epoch"]) == {6}
    assert set(selection.choose(rows, "3")["epoch"]) == {3}
    best = selection.choose(rows, "best").set_index(selection.RUN)["validation_loss"].sort_index()
    smallest = rows.groupby(selection.RUN, observed=True)["validation_loss"].min()
    pd.testing.assert_series_equal(best, smallest.sort_index())
    with pytest.raises(ValueError, match="worst"):
        selection.choose(rows, "worst")


def test_the_best_epoch_is_the_first_of_equals_and_never_a_nan() -> None:
    rows = table()
    rows["validation_loss"] = np.float32(1)
    assert set(selection.choose(rows, "best")["epoch"]) == {1}
    rows.loc[rows["epoch"] < 4, "validation_loss"] = np.nan
    assert set(selection.choose(rows, "best")["epoch"]) == {4}


def test_stopping_by_the_error_takes_the_first_epoch_of_the_smallest_error() -> None:
    rows = table()
    accuracy = np.float32([0.1, 0.4, 0.6, 0.6, 0.5, 0.6])
    rows["validation_accuracy"] = np.tile(accuracy, len(rows) // 6)
    assert set(selection.choose(rows, "best_error")["epoch"]) == {3}
    assert set(selection.choose(rows, "best")["epoch"]) != {3}
    lacking = (rows["width"] == 1) & (rows["seed"] == 0)
    rows.loc[lacking, "validation_accuracy"] = np.nan
    assert len(selection.choose(rows, "best_error")) == 11


def test_the_order_of_rows_does_not_matter() -> None:
    rows = table(drift=1.0)
    shuffled = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    for epochs in ("last", "best", "best_error"):
        one, other = (
            selection.choose(r, epochs).sort_values(selection.RUN, ignore_index=True)
            for r in (rows, shuffled)
        )
        pd.testing.assert_frame_equal(one, other)


def test_errors_are_what_accuracies_leave() -> None:
    rows = table()
    for split in ("train", "validation"):
        error = samples.sample(rows, f"{split}_error")
        accuracy = samples.sample(rows, f"{split}_accuracy")
        np.testing.assert_allclose(error.value + accuracy.value, 1, rtol=1e-12)
        assert accuracy.grows
        assert not error.grows


def test_a_runs_epochs_have_one_number() -> None:
    sample = samples.sample(table(), "train_loss")
    assert sorted(set(sample.run)) == list(range(12))
    assert (np.bincount(sample.run) == 6).all()
    np.testing.assert_array_equal(sample.width_of_run, np.repeat([1, 2, 5], 4))


def test_runs_fail_by_never_leaving_chance_or_by_losing_their_numbers() -> None:
    rows = table()
    stuck = (rows["width"] == 1) & (rows["seed"] == 2)
    rows.loc[stuck, "train_loss"] = np.float32([2.31, 2.302, 2.303, 2.303, 2.302, 2.303])
    left_late = (rows["width"] == 1) & (rows["seed"] == 3)
    rows.loc[left_late, "train_loss"] = np.float32([2.31, 2.303, 2.303, 2.303, 2.303, 2.2])
    broke = (rows["width"] == 5) & (rows["seed"] == 0) & (rows["epoch"] == 4)
    rows.loc[broke, "validation_loss"] = np.inf
    failures = selection.failures(rows, 2.25)
    assert len(failures) == 12
    flags = failures.set_index(["width", "seed"])[[*selection.FAILURES]]
    failed = flags.index[flags.any(axis=1)].tolist()
    assert failed == [(1, 2), (5, 0)]
    assert flags.loc[failed].to_numpy().tolist() == [[True, False, False], [False, True, False]]
    sound = selection.sound(rows, failures)
    assert len(sound) == 10 * 6
    assert sound[stuck.reindex(sound.index)].empty
    assert selection.sound(sound, selection.failures(sound, 2.25)).equals(sound)


@pytest.mark.parametrize("epochs", ["last", "pooled"])
def test_the_simulated_slope_is_the_one_promised(epochs: str) -> None:
    truth = simulate.Truth(epochs=8, drift=3.0, tilt=0.4, spread=0.05)
    rows = simulate.sweep(truth, [1, 20], 20_000, np.random.default_rng(0))
    logs = np.log(selection.choose(rows, epochs)[["width", "parameters", "validation_loss"]])
    for tau in (0.2, 0.5):
        at = logs.groupby("width")["validation_loss"].quantile(tau)
        slope = (at.iloc[1] - at.iloc[0]) / np.diff(logs["parameters"].unique())[0]
        assert slope == pytest.approx(truth.slope(tau, epochs), abs=3e-3)


def test_a_tilted_scatter_grows_with_n_and_is_as_asked_in_the_middle() -> None:
    truth = simulate.Truth(spread=0.05, tilt=0.3, likeness=0.0, tail=1e6)
    table = simulate.sweep(truth, [1, 4, 20], 4000, np.random.default_rng(0))
    of_width = table.assign(log=np.log(table["validation_loss"])).groupby("parameters")["log"]
    n = np.log([*of_width.groups])
    expected = 0.05 * (1 + 0.3 * (n - (n[0] + n[-1]) / 2))
    np.testing.assert_allclose(of_width.std(), expected, rtol=0.05)
