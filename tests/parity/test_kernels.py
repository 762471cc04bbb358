"""The kernels of multitask sparse parity against the CPU's engine, which is tested on its own.

They run on a GPU or, where there is none, in Triton's interpreter (see conftest.py): slowly, so the
cases are small.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("triton", reason="PyTorch brings no Triton on this platform")

from stages.base.params import ParityConfiguration
from stages.parity import kernels as parity_kernels
from stages.parity import one, replicas, shuffle, streams
from stages.parity.draws import Draws
from stages.parity.network import flatten, initial
from stages.parity.plan import Family, Run, families
from stages.parity.replicas import SideBySide
from stages.training import kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FORM = pytest.mark.parametrize("form", ["notebook", "paper"])
FORMS = {
    "notebook": {"tasks": 3, "bits": 20, "widths": [24], "logits": 1, "optimizer": "adam"},
    "paper": {"tasks": 11, "bits": 140, "widths": [40], "logits": 2, "optimizer": "adamw"},
}


def configure(form: str, **values: object) -> ParityConfiguration:
    small = FORMS[form] | {
        "subset_size": 3, "alpha": 0.4, "learning_rate": 1e-2, "weight_decay": 0.1,
        "batch_size": 90, "steps": 2, "evaluate_every": 1, "evaluation_samples": 30,
        "seeds": 1, "precision": "float32", "learned_below": 0.1, "task_curves": 2,
        "data_limited": {"widths": [24], "samples": [250], "steps": 2, "evaluate_every": 1},
    }  # fmt: skip
    return ParityConfiguration.model_validate(small | values)


def engine_of(c: ParityConfiguration, run: Run) -> SideBySide:
    """A run in training: on fresh samples, or on a training set."""
    family = families(c)[run.samples > 0]
    engine = SideBySide(c, family, [run], DEVICE)
    engine.load()
    return engine


def reference(c: ParityConfiguration, run: Run) -> one.Replica:
    return one.Replica(c, run, flatten(initial(c, run.width, run.seed)))


def bits_of(words: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The words' bits, as many as `like` has columns."""
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little", count=like.shape[1])


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few programs, with several tiles each: the interpreter takes its time over each program."""
    if DEVICE.type == "cpu":
        for name, units in {"FORWARD": 64, "EVALUATION": 64, "BITS": 32, "TASKS": 32}.items():
            monkeypatch.setattr(replicas, name, replicas.Pass(32, units, 2))
        monkeypatch.setattr(streams, "TILE", 32)
        monkeypatch.setattr(streams, "CHOOSE_BLOCK", 32)
        monkeypatch.setattr(kernels, "BLOCK", 4096)


@FORM
@pytest.mark.parametrize("samples", [0, 250], ids=["fresh", "training set"])
def test_samples_are_the_same_integers(form: str, samples: int) -> None:
    c = configure(form)
    group = 16
    run = Run(c.widths[0], samples, 9)
    drawn_by = engine_of(c, run).streams
    for step in (
        0,
        2,
        3,
    ):  # of a training set's three batches the last is short; then it begins anew
        drawn_by.done.fill_(step)
        drawn_by.draw()
        expected = Draws(c, 9, samples).batch(step)
        counts = np.bincount(expected.task, minlength=c.tasks)
        slots = group * np.sum(-(-counts // group))
        label = drawn_by.batch.labels[0, :slots].cpu().numpy()
        inputs = drawn_by.batch.inputs[0, :slots].cpu().numpy().astype(np.uint8)
        groups = drawn_by.arguments["group_tasks"][0, : slots // group]
        task = groups.cpu().numpy().repeat(group)
        filled = label < 2
        assert filled.sum() == len(expected.task)
        assert np.array_equal(task[filled], expected.task)
        drawn = np.column_stack([task, label, inputs])[filled]
        wanted = np.column_stack([expected.task, expected.label, bits_of(expected.words, inputs)])
        if samples:  # a training set's are in no order among those of a task
            drawn, wanted = (rows[np.lexsort(rows.T)] for rows in (drawn, wanted))
        assert np.array_equal(drawn, wanted)
    drawn_by.done.fill_(2)
    drawn_by.draw_evaluation()
    expected = Draws(c, 9, samples).evaluation(np.arange(c.tasks), c.evaluation_samples, step=2)
    label = drawn_by.evaluation.labels[0].cpu().numpy()
    inputs = drawn_by.evaluation.inputs[0].cpu().numpy().astype(np.uint8)
    assert np.array_equal(label[label < 2], expected.label)
    assert np.array_equal(inputs[label < 2], bits_of(expected.words, inputs))


def test_the_shuffle_is_the_same_function() -> None:
    assert parity_kernels.ROUNDS.value == shuffle.ROUNDS


@pytest.mark.parametrize(
    ("form", "samples", "precision", "tolerance"),
    [
        ("notebook", 0, "float32", 2e-6),
        ("notebook", 50, "tf32", 5e-3),  # less than a batch
        ("paper", 250, "float32", 2e-6),
        ("paper", 0, "tf32", 5e-3),
    ],
)
def test_one_step_agrees_with_the_cpu(
    form: str, samples: int, precision: str, tolerance: float
) -> None:
    c = configure(form, precision=precision)
    width = c.widths[0]
    run = Run(width, samples, 4)
    side_by_side = engine_of(c, run)
    (engine,) = side_by_side.replicas
    replica = reference(c, run)
    side_by_side.train()
    side_by_side.evaluate()
    replica.train(0)
    partials = engine.weights.partials[0].cpu()
    sizes = {"tasks": c.tasks * width, "bits": c.bits * width, "bias": width}
    sizes["output"] = (width + 1) * c.logits
    starts = [engine.weights.partial_offsets[layer] for layer in sizes]
    gradient = [
        partials[start:end].view(-1, size).sum(0)
        for start, end, size in zip(starts, [*starts[1:], None], sizes.values(), strict=True)
    ]
    assert replica.values.grad is not None
    error = (torch.cat(gradient) - replica.values.grad).norm() / replica.values.grad.norm()
    assert error < tolerance
    loss, accuracy = replica.evaluate(1)
    assert np.abs(engine.losses[0, 0].cpu().numpy() - loss).max() < tolerance
    assert np.abs(engine.accuracies[0, 0].cpu().numpy() - accuracy).max() < 0.02


@pytest.mark.parametrize(("form", "which"), [("notebook", 1), ("paper", 0)])
def test_training_agrees_with_the_cpu(form: str, which: int) -> None:
    c = configure(form, batch_size=150 if which else 90)  # and then what is left
    family = families(c)[which]
    ours = replicas.train(c, family, DEVICE, lambda steps, loss: None)
    theirs = one.train(c, family, lambda steps, loss: None)
    assert np.abs(ours.mean_losses - theirs.mean_losses).max() < 1e-4
    kinds = [history.frame("tasks") for history in (ours, theirs)]
    assert np.abs(kinds[0]["loss"] - kinds[1]["loss"]).max() < 1e-4
    assert np.abs(kinds[0]["accuracy"] - kinds[1]["accuracy"]).max() < 0.02


@pytest.mark.parametrize("limited", [False, True])
def test_a_run_does_not_depend_on_its_neighbours(limited: bool) -> None:
    c = configure("notebook", precision="tf32", batch_size=30, evaluation_samples=10)
    widths, samples = ([8], [220, 250]) if limited else ([8, 24], [0])
    family = Family(widths, samples, [0, 1], steps=2, evaluate_every=1)
    together = replicas.train(c, family, DEVICE, lambda steps, loss: None)
    run = family.runs[2]
    of_run = replace(family, widths=[run.width], samples=[run.samples], seeds=[run.seed])
    alone = replicas.train(c, of_run, DEVICE, lambda steps, loss: None)
    frame, key = together.frame("tasks"), [run.width, run.samples, run.seed]
    frame = frame[frame[["width", "samples", "seed"]].eq(key).all(axis=1)]
    pd.testing.assert_frame_equal(frame.reset_index(drop=True), alone.frame("tasks"))
    assert np.array_equal(together.mean_losses[2], alone.mean_losses[0])
    assert len(np.unique(together.mean_losses, axis=0)) == len(together.mean_losses)
