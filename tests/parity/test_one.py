"""The network of multitask sparse parity and its training on a CPU, against plain PyTorch."""

import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.base.params import ParityConfiguration
from stages.parity import one
from stages.parity import part as parity_part
from stages.parity.draws import Draws, Samples
from stages.parity.network import Network, flatten, initial
from stages.parity.plan import Family, Run, families, parameters
from stages.parity.train import train
from stages.training import cpu
from stages.training.adam import Adam

Configure = Callable[..., ParityConfiguration]

CPU = torch.device("cpu")
FORMS = {
    "notebook": {},
    "paper": {"logits": 2, "optimizer": "adamw", "tasks": 40, "bits": 150},
    "decay": {"optimizer": "adamw", "weight_decay": 0.3},
    "l2": {"optimizer": "adam", "weight_decay": 0.3, "logits": 2},
}


@pytest.fixture
def configure() -> Configure:
    """A small configuration with some of its values changed."""

    def changed(**values: object) -> ParityConfiguration:
        small = {
            "tasks": 5, "bits": 20, "subset_size": 3, "alpha": 0.4, "widths": [24], "logits": 1,
            "optimizer": "adam", "learning_rate": 1e-2, "weight_decay": 0.0, "batch_size": 1700,
            "steps": 6, "evaluate_every": 2, "evaluation_samples": 50, "seeds": 3,
            "precision": "tf32", "learned_below": 0.1, "task_curves": 3,
        }  # fmt: skip
        return ParityConfiguration.model_validate(small | values)

    return changed


def dense(c: ParityConfiguration, samples: Samples) -> tuple[Tensor, Tensor]:
    """Inputs and labels as the paper has them: a one-hot task, then the bits."""
    packed = samples.words.view(np.uint8)
    bits = np.unpackbits(packed, axis=1, count=c.bits, bitorder="little")
    one_hot = F.one_hot(torch.from_numpy(samples.task), c.tasks)
    inputs = torch.cat([one_hot, torch.from_numpy(bits)], dim=1).float()
    return inputs, torch.from_numpy(samples.label.astype(np.int64))


def replica_of(c: ParityConfiguration, seed: int, samples: int = 0) -> one.Replica:
    run = Run(c.widths[0], samples, seed)
    return one.Replica(c, run, flatten(initial(c, run.width, seed)))


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.float(), reduction="none")
    return F.cross_entropy(logits, labels, reduction="none")


def test_initial_weights_are_those_of_nn_linear(configure: Configure) -> None:
    c = configure(logits=2)
    before = torch.get_rng_state()
    network = initial(c, 24, seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    hidden, output = nn.Linear(25, 24), nn.Linear(24, 2)
    torch.set_rng_state(before)
    assert torch.equal(network.hidden.weight, hidden.weight)
    assert torch.equal(network.hidden.bias, hidden.bias)
    assert torch.equal(network.output.weight, output.weight)
    assert torch.equal(network.output.bias, output.bias)


def test_parameters_are_counted(configure: Configure) -> None:
    for c in (configure(), configure(logits=2), configure(tasks=500, bits=100, logits=2)):
        network = Network(c, 13)
        count = sum(p.numel() for p in network.parameters())
        assert parameters(c, 13) == count == len(flatten(network))
    assert parameters(c, 13) == 603 * 13 + 2


@pytest.mark.parametrize("samples", [0, 2000], ids=["fresh", "training set"])
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_training_agrees_with_autograd_on_the_dense_input(
    configure: Configure, form: dict[str, object], samples: int
) -> None:
    c = configure(**form)
    replica = replica_of(c, 3, samples)
    network = initial(c, 24, seed=3)
    optimizer = Adam.of(c).optimizer(network.parameters())
    draws = Draws(c, 3, samples)
    assert torch.equal(flatten(network), replica.values.detach())
    for step in range(5):
        inputs, labels = dense(c, draws.batch(step))
        losses(network(inputs), labels).mean().backward()
        gradient = Network(c, 24)
        for ours, theirs in zip(gradient.parameters(), network.parameters(), strict=True):
            ours.data = theirs.grad  # type: ignore[assignment]
        replica.train(step)
        assert replica.values.grad is not None
        torch.testing.assert_close(replica.values.grad, flatten(gradient), rtol=1e-3, atol=1e-7)
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(replica.values.detach(), flatten(network), rtol=0, atol=1e-4)


@pytest.mark.parametrize("logits", [1, 2])
def test_evaluation_agrees_with_the_dense_input(
    configure: Configure, logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = configure(logits=logits)
    replica = replica_of(c, seed=3)
    network = initial(c, 24, seed=3)
    samples = Draws(c, seed=3).evaluation(np.arange(c.tasks), c.evaluation_samples, step=2)
    inputs, labels = dense(c, samples)
    logit = network(inputs)
    expected = losses(logit, labels).view(c.tasks, -1).mean(1)
    predicted = logit.argmax(1) if logits == 2 else logit[:, 0] > 0
    right = (predicted == labels).float().view(c.tasks, -1).mean(1)
    for at_once in (one.EVALUATED, 60):
        monkeypatch.setattr(one, "EVALUATED", at_once)
        loss, accuracy = replica.evaluate(step=2)
        torch.testing.assert_close(torch.from_numpy(loss), expected)
        assert torch.equal(torch.from_numpy(accuracy), right)


def test_a_rare_task_without_samples_has_no_gradient(configure: Configure) -> None:
    c = configure(batch_size=3, tasks=50)
    replica = replica_of(c, seed=0)
    replica.train(0)
    drawn = np.unique(Draws(c, 0).batch(0).task)
    assert replica.values.grad is not None
    rows = replica.values.grad[: 50 * 24].view(50, 24).abs().sum(1)
    assert set(torch.nonzero(rows)[:, 0].tolist()) <= set(drawn.tolist())


@pytest.mark.parametrize(
    ("widths", "samples", "said"),
    [
        ([8], [0], "width 8, fresh samples"),
        ([9, 8, 16], [0], "3 widths 8 to 16, fresh samples"),
        ([8], [50, 1500], "width 8, training sets of 50 to 1,500 samples"),
    ],
)
def test_runs_are_named_for_people(widths: list[int], samples: list[int], said: str) -> None:
    assert str(Family(widths, samples, [0], steps=2, evaluate_every=1)) == said


def both(c: ParityConfiguration) -> list[Family]:
    """Runs on fresh samples, and some on training sets: less than, and more than a batch."""
    limited = {"widths": [24], "samples": [1000, 2500], "steps": 6, "evaluate_every": 2}
    return families(ParityConfiguration.model_validate(c.model_dump() | {"data_limited": limited}))


@pytest.mark.parametrize("which", [0, 1], ids=["fresh", "training sets"])
def test_a_run_does_not_depend_on_its_neighbours_or_on_the_cores(
    configure: Configure, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = configure(widths=[24, 40])
    family = both(c)[which]
    width, samples = family.widths[-1], family.samples[-1]
    monkeypatch.setattr(cpu, "cores", lambda: 3)
    together = train(c, family, CPU, lambda steps, loss: None)
    monkeypatch.setattr(cpu, "cores", lambda: 1)
    family = replace(family, widths=[width], samples=[samples], seeds=[2])
    alone = train(c, family, CPU, lambda steps, loss: None)
    for kind in parity_part.SCHEMAS:
        frame, expected = together.frame(kind), alone.frame(kind)
        frame = frame[frame[["width", "samples", "seed"]].eq([width, samples, 2]).all(axis=1)]
        pd.testing.assert_frame_equal(frame.reset_index(drop=True), expected)
    assert len(np.unique(together.mean_losses, axis=0)) == len(together.mean_losses)


def test_parts_have_the_same_bytes_twice(configure: Configure, tmp_path: Path) -> None:
    c = configure(seeds=2)
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        parts = parity_part.configuration_parts("a", c)
        histories = [train(c, family, CPU, lambda steps, loss: None) for family in families(c)]
        for kind, part in parts.items():
            part = replace(part, path=folder / part.path.name)
            part.write(pd.concat([h.frame(kind) for h in histories]).assign(configuration="a"))
            made.append(part)
    first, again = made[:3], made[3:]
    assert [p.path.read_bytes() for p in first] == [p.path.read_bytes() for p in again]
    for part in first:
        assert pd.MultiIndex.from_frame(part.read()[list(part.keys.names)]).equals(part.keys)


def test_progress_counts_every_step(configure: Configure) -> None:
    reported: list[tuple[int, float]] = []
    (family,) = families(configure(seeds=2))
    history = train(configure(), family, CPU, lambda *args: reported.append(args))
    assert sum(steps for steps, _ in reported) == 2 * 6
    assert sorted(loss for _, loss in reported) == sorted(history.mean_losses.reshape(-1))


def test_an_easy_problem_is_learned(configure: Configure) -> None:
    c = configure(tasks=2, bits=8, subset_size=2, widths=[64], steps=300, seeds=1)
    (family,) = families(c)
    tasks = train(c, family, CPU, lambda steps, loss: None).frame("tasks")
    assert (tasks["loss"] < 0.01).all()
    assert (tasks["accuracy"] == 1).all()
    assert tasks["learned"].between(1, 300).all()
    assert (tasks["began"] < tasks["learned"]).all()


def test_runs_that_wait_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "cores", lambda: 2)
    finished: list[int] = []
    turns: list[int] = []

    def run(i: int) -> Generator[None, None, int]:
        for _ in range(10):
            turns.append(i)
            yield
        finished.append(i)
        return i * i

    assert cpu.side_by_side(run, 5, Event()) == [0, 1, 4, 9, 16]
    assert sorted(finished) == list(range(5))
    assert len(turns) == 50
    assert set(turns[:10]) == set(range(5))


def test_an_error_in_one_run_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "cores", lambda: 2)
    stop = threading.Event()

    def run(i: int) -> Generator[None, None, None]:
        while True:
            if i == 2:
                raise ValueError("run 2 broke")
            yield

    with pytest.raises(ValueError, match="run 2 broke"):
        cpu.side_by_side(run, 3, stop)
    assert stop.is_set()
