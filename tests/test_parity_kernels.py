"""The kernels of multitask sparse parity against the CPU's engine, which is tested on its own.

They run on a GPU or, where there is none, in Triton's interpreter (see conftest.py): slowly, so the
cases are small.
"""

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="PyTorch brings no Triton on this platform")

from stages.params import ParityConfiguration
from stages.parity import one, replicas
from stages.parity.draws import Draws
from stages.parity.replicas import Replicas
from stages.training import kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FORM = pytest.mark.parametrize("form", ["notebook", "paper"])
FORMS = {
    "notebook": {"tasks": 3, "bits": 20, "width": 24, "logits": 1, "optimizer": "adam"},
    "paper": {"tasks": 11, "bits": 140, "width": 40, "logits": 2, "optimizer": "adamw"},
}


def configure(form: str, **values: object) -> ParityConfiguration:
    small = FORMS[form] | {
        "subset_size": 3, "alpha": 0.4, "learning_rate": 1e-2, "weight_decay": 0.1,
        "batch_size": 90, "steps": 2, "evaluate_every": 1, "evaluation_samples": 30,
        "seeds": 1, "precision": "float32",
    }  # fmt: skip
    return ParityConfiguration.model_validate(small | values)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few programs, with several tiles each: the interpreter takes its time over each program."""
    if DEVICE.type == "cpu":
        for name, value in {"TILE": 32, "UNITS": 32, "SHARES": 2, "EVALUATION_SHARES": 3}.items():
            monkeypatch.setattr(replicas, name, value)
        monkeypatch.setattr(kernels, "BLOCK", 4096)


@FORM
def test_samples_are_the_same_integers(form: str) -> None:
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


@FORM
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-6), ("tf32", 5e-3)])
def test_one_step_agrees_with_the_cpu(form: str, precision: str, tolerance: float) -> None:
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


@FORM
def test_training_agrees_with_the_cpu(form: str) -> None:
    c = configure(form, evaluate_every=2)
    ours = replicas.train(c, [2], DEVICE, lambda steps, loss: None)
    reference = one.train(c, [2], lambda steps, loss: None)
    assert np.abs(ours.losses - reference.losses).max() < 1e-4
    assert np.abs(ours.accuracies - reference.accuracies).max() < 0.02


def test_a_run_does_not_depend_on_its_neighbours() -> None:
    c = configure("notebook", precision="tf32")
    together = replicas.train(c, [0, 1], DEVICE, lambda steps, loss: None)
    alone = replicas.train(c, [1], DEVICE, lambda steps, loss: None)
    assert np.array_equal(together.losses[1], alone.losses[0])
    assert np.array_equal(together.accuracies[1], alone.accuracies[0])
    assert not np.array_equal(together.losses[0], together.losses[1])
