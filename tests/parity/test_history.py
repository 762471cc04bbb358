"""What is kept of parity's evaluations: when tasks are learned, at the resolution of them all."""

from math import log

import numpy as np
import pandas as pd
import pytest

from stages.base.params import ParityConfiguration
from stages.parity.history import History
from stages.parity.plan import curve_steps, families
from stages.parity.tasks import frequencies

BITS = log(2)
UNDER, BETWEEN, ABOVE = 0.05 * BITS, 0.5 * BITS, 0.95 * BITS


def configuration(**values: object) -> ParityConfiguration:
    small = {
        "tasks": 4, "bits": 20, "subset_size": 3, "alpha": 0.4, "widths": [8, 16], "logits": 1,
        "optimizer": "adam", "learning_rate": 1e-2, "weight_decay": 0, "batch_size": 100,
        "steps": 1000, "evaluate_every": 10, "evaluation_samples": 50, "seeds": 2,
        "precision": "tf32", "learned_below": 0.1, "task_curves": 10,
    }  # fmt: skip
    return ParityConfiguration.model_validate(small | values)


def recorded(c: ParityConfiguration, losses: np.ndarray, at_once: int) -> History:
    """A history of the first family, with `at_once` evaluations recorded at a time."""
    history = History(c, families(c)[0])
    for row in range(len(losses)):
        for first in range(0, losses.shape[1], at_once):
            span = losses[row : row + 1, first : first + at_once]
            history.record(slice(row, row + 1), first, span, 1 - span)
    return history


def test_the_steps_of_a_task_are_those_of_its_losses() -> None:
    c = configuration(widths=[16], steps=60, seeds=1, tasks=5)
    losses = np.array(
        [
            [ABOVE, ABOVE, BETWEEN, UNDER, UNDER, UNDER],
            [UNDER] * 6,
            [ABOVE, UNDER, BETWEEN, UNDER, ABOVE, UNDER],
            [BETWEEN, UNDER, UNDER, UNDER, UNDER, BETWEEN],
            [BETWEEN, BETWEEN, BETWEEN, np.nan, np.nan, np.nan],
        ],
        np.float32,
    ).T[None]
    tasks = recorded(c, losses, 6).frame("tasks").set_index("task")
    columns = ["not_before", "learned", "first_under", "began"]
    assert tasks[columns].astype(object).where(tasks[columns].notna(), None).values.tolist() == [
        [30, 40, 40, 20],
        [0, 10, 10, None],
        [50, 60, 20, 50],
        [60, None, 20, None],
        [60, None, None, None],
    ]
    np.testing.assert_array_equal(tasks["loss"], losses[0, -1])
    np.testing.assert_array_equal(tasks["accuracy"], 1 - losses[0, -1])


def test_tasks_do_not_depend_on_how_much_is_recorded_at_once() -> None:
    c = configuration()
    losses = np.random.default_rng(0).random((4, 100, 4), np.float32)
    whole, one, some = (recorded(c, losses, at_once) for at_once in (100, 1, 7))
    for other in (one, some):
        for kind in ("losses", "tasks", "curves"):
            pd.testing.assert_frame_equal(whole.frame(kind), other.frame(kind))


def test_tasks_tell_what_curves_at_full_resolution_show() -> None:
    c = configuration(task_curves=10_000, learned_below=0.4)
    falls = np.random.default_rng(1).integers(0, 150, (4, 1, 4))
    noise = np.random.default_rng(2).normal(0, 0.03, (4, 100, 4))
    times = np.arange(100)[None, :, None]
    losses = (BITS * (0.3 + 0.7 / (1 + np.exp(times - falls))) + noise).astype(np.float32)
    history = recorded(c, losses, 9)
    tasks = history.frame("tasks")
    assert set(tasks["learned"].isna()) == {False, True}
    curves = history.frame("curves").groupby(["seed", "task"])
    for row in tasks[tasks["width"] == 16].itertuples():
        curve = curves.get_group((row.seed, row.task)).set_index("step")["loss"]
        assert len(curve) == 100
        above, last = curve.index[curve >= 0.4 * BITS], curve.index[-1]
        assert row.not_before == max(above, default=0)
        assert row.learned == row.not_before + 10 if row.not_before < last else pd.isna(row.learned)
        assert row.loss == curve[last]


def test_mean_losses_are_weighted_by_frequency() -> None:
    c = configuration()
    losses = np.random.default_rng(0).random((4, 100, 4), np.float32)
    mean = recorded(c, losses, 100).frame("losses")
    assert mean["mean_loss"].tolist() == pytest.approx(
        [float(np.average(loss, weights=frequencies(4, 0.4))) for loss in losses.reshape(-1, 4)]
    )
    assert mean["step"].tolist() == list(range(10, 1001, 10)) * 4


@pytest.mark.parametrize("count", [0, 1, 2, 5, 30])
def test_curves_are_kept_evenly_in_log_step_for_the_widest(count: int) -> None:
    c = configuration(task_curves=count)
    losses = np.random.default_rng(0).random((4, 100, 4), np.float32)
    curves = recorded(c, losses, 100).frame("curves")
    steps = curve_steps(c)
    assert len(steps) <= count
    assert all(step % 10 == 0 for step in steps)
    if count:
        assert steps[-1] == 1000
        assert set(curves["width"]) == {16}
        assert set(curves["seed"]) == {0, 1}
        evaluation = curves["step"].to_numpy() // 10 - 1
        rows, tasks = curves["seed"].to_numpy() + 2, curves["task"].to_numpy() - 1
        np.testing.assert_array_equal(curves["loss"], losses[rows, evaluation, tasks])
    if count == 5:
        assert steps == [10, 30, 100, 320, 1000]
    assert len(curves) == 2 * len(steps) * 4


def test_runs_on_training_sets_keep_no_curves() -> None:
    limited = {"widths": [16], "samples": [50], "steps": 20, "evaluate_every": 10}
    c = configuration(data_limited=limited)
    assert History(c, families(c)[1]).frame("curves").empty
