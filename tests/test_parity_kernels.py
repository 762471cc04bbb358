"""The kernels of multitask sparse parity against the CPU's engine, which is tested on its own.

They run on a GPU where there is one, and in Triton's interpreter otherwise. Triton decides which
when it is imported, so the interpreter has a process of its own: the tests run there, and here
one test waits for it.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from stages.params import ParityConfiguration
from stages.parity import one
from stages.parity.draws import Draws

GPU = torch.cuda.is_available()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cuda" if GPU and not INTERPRETED else "cpu")
KERNELS_RUN = GPU or INTERPRETED
needs_kernels = pytest.mark.skipif(not KERNELS_RUN, reason="runs in the interpreter's process")

FORMS = {
    "notebook": {"tasks": 3, "bits": 20, "width": 24, "logits": 1, "optimizer": "adam"},
    "paper": {"tasks": 11, "bits": 140, "width": 40, "logits": 2, "optimizer": "adamw"},
}
FORM = pytest.mark.parametrize("form", FORMS)


def configure(form: str, **values: object) -> ParityConfiguration:
    small = FORMS[form] | {
        "subset_size": 3, "alpha": 0.4, "learning_rate": 1e-2, "weight_decay": 0.1,
        "batch_size": 90, "steps": 2, "evaluate_every": 1, "evaluation_samples": 40,
        "seeds": 1, "precision": "float32",
    }  # fmt: skip
    return ParityConfiguration.model_validate(small | values)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few programs, with several tiles each: the interpreter takes its time over each program."""
    if INTERPRETED:
        from stages.parity import replicas
        from stages.training import kernels

        for name, value in {"TILE": 32, "UNITS": 32, "SHARES": 2, "EVALUATION_SHARES": 3}.items():
            monkeypatch.setattr(replicas, name, value)
        monkeypatch.setattr(kernels, "BLOCK", 4096)


@pytest.mark.skipif(KERNELS_RUN, reason="they run here")
def test_the_kernels_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


@needs_kernels
@FORM
def test_samples_are_the_same_integers(form: str) -> None:
    from stages.parity.replicas import Replicas

    c = configure(form)
    group = 16
    engine = Replicas(c, 1, DEVICE)
    engine.load([9])
    for step in range(2):
        engine.train()
        expected = Draws(c, 9).batch(c.batch_size, step)
        counts = np.bincount(expected.task, minlength=c.tasks)
        slots = group * np.sum(-(-counts // group))
        label = engine.batch.labels[0, :slots].cpu().numpy()
        words = engine.batch.words[0, :slots].cpu().numpy().view(np.uint32)
        task = engine.group_tasks[0, : slots // group].cpu().numpy().repeat(group)
        filled = label < 2
        assert np.array_equal(label[filled], expected.label)
        assert np.array_equal(words[filled], expected.words)
        assert np.array_equal(task[filled], expected.task)
    engine.evaluate()
    expected = Draws(c, 9).evaluation(np.arange(c.tasks), c.evaluation_samples, step=2)
    label = engine.evaluation.labels[0].cpu().numpy()
    words = engine.evaluation.words[0].cpu().numpy().view(np.uint32)
    assert np.array_equal(label[label < 2], expected.label)
    assert np.array_equal(words[label < 2], expected.words)


@needs_kernels
@FORM
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-6), ("tf32", 5e-3)])
def test_one_step_agrees_with_the_cpu(form: str, precision: str, tolerance: float) -> None:
    from stages.parity.replicas import Replicas

    c = configure(form, precision=precision)
    engine = Replicas(c, 1, DEVICE)
    engine.load([4])
    replica = one.Replica(c, seed=4)
    engine.train()
    engine.evaluate()
    replica.train(0)
    partials = engine.weights.partials[0].cpu()
    gradient = []
    for layer, size in (("tasks", c.tasks), ("bits", c.bits + 1)):
        at, length = engine.weights.partial_offsets[layer], size * c.width
        end = engine.weights.partial_offsets["bits" if layer == "tasks" else "output"]
        gradient.append(partials[at:end].view(-1, length).sum(0))
    length = (c.width + 1) * c.logits
    gradient.append(partials[engine.weights.partial_offsets["output"] :].view(-1, length).sum(0))
    assert replica.values.grad is not None
    error = (torch.cat(gradient) - replica.values.grad).norm() / replica.values.grad.norm()
    assert error < tolerance
    loss, accuracy = replica.evaluate(1)
    assert np.abs(engine.losses[0, 0].cpu().numpy() - loss).max() < tolerance
    assert np.abs(engine.accuracies[0, 0].cpu().numpy() - accuracy).max() < 0.02


@needs_kernels
@FORM
def test_training_agrees_with_the_cpu(form: str) -> None:
    from stages.parity import replicas

    c = configure(form, evaluate_every=2)
    ours = replicas.train(c, [2], DEVICE, lambda steps, loss: None)
    reference = one.train(c, [2], lambda steps, loss: None)
    assert np.abs(ours.losses - reference.losses).max() < 1e-4
    assert np.abs(ours.accuracies - reference.accuracies).max() < 0.02


@needs_kernels
def test_a_run_does_not_depend_on_its_neighbours() -> None:
    from stages.parity import replicas

    c = configure("notebook", precision="tf32")
    together = replicas.train(c, [0, 1], DEVICE, lambda steps, loss: None)
    alone = replicas.train(c, [1], DEVICE, lambda steps, loss: None)
    assert np.array_equal(together.losses[1], alone.losses[0])
    assert np.array_equal(together.accuracies[1], alone.accuracies[0])
    assert not np.array_equal(together.losses[0], together.losses[1])
