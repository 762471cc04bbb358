"""Students on a GPU: what they are held against, how long a step takes, and whole runs.

`python -m bench.students check` compares samples, teachers and students with those of the CPU in
float64, trains twice, and trains one without the others. `steps` times a step of each phase, for
each way to compute it. `run d=4 loss=kl fraction=0.1` trains, and prints the losses and 4/alpha.
Needs no more than PyTorch with Triton, NumPy and pandas.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stages.students import draws, kernels, replicas
from stages.students.configuration import Configuration, Phase
from stages.students.network import initial
from stages.students.schedule import schedule
from stages.students.teacher import Teacher
from stages.training.adam import BETA1, BETA2, EPSILON

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
SCHEDULE = ((200_000, 200, 0.01), (20_000, 1_000, 0.01), (20_000, 4_000, 0.001))


def configuration(
    d: int = 4, loss: str = "2", fraction: float = 1.0, teachers: int = 3, seeds: int = 10,
    evaluations: int = 5, precision: str = "float32", seen: str = "all", scale: float = 6.0,
    narrowest: int = 0,
) -> Configuration:  # fmt: skip
    """The authors' protocol, or a part of its schedule."""
    first = narrowest or (22 if loss == "kl" or d > 10 else 15 if d > 6 else 8)
    return Configuration(
        dimension=d,
        loss="kl" if loss == "kl" else float(loss),
        widths=tuple(int(first * 1.3**i) for i in range(7)),
        teachers=teachers,
        seeds=seeds,
        phases=tuple(Phase(round(steps * fraction), *rest) for steps, *rest in SCHEDULE),
        evaluations=evaluations,
        inputs_seen=seen,
        scale=scale,
        precision=precision,
    )


class Plain(replicas.Width):
    """The same students by PyTorch's batched products and its autograd, in any precision."""

    def __init__(self, configuration: Configuration, width: int, device: torch.device) -> None:
        self._c, self._width = configuration, width
        self._real = getattr(torch, configuration.precision)
        count = configuration.parameters(width, configuration.seen)
        shape = configuration.teachers, configuration.seeds, count
        self._values = torch.zeros(shape, dtype=self._real, device=device, requires_grad=True)
        self._mean, self._square = torch.zeros_like(self._values), torch.zeros_like(self._values)

    def load(self) -> None:
        c = self._c
        starts = [
            [initial(c, teacher, self._width, seed) for seed in range(c.seeds)]
            for teacher in range(c.teachers)
        ]
        with torch.no_grad():
            self._values.copy_(torch.from_numpy(np.array(starts)))
            self._mean.zero_()
            self._square.zero_()

    @property
    def values(self) -> Tensor:
        return self._values.detach()

    def train(
        self, inputs: Tensor, targets: Tensor, number: int, batch: int,
        corrections: Tensor, done: Tensor,
    ) -> None:  # fmt: skip
        c, n = self._c, self._width
        part = slice(number * batch, (number + 1) * batch)
        x, y = inputs[:, None, part], targets[:, None, part]
        shapes = [(c.seen, n), (1, n), (n, n), (1, n), (c.outputs, n), (1, c.outputs)]
        with torch.enable_grad():
            split = self._values.split([int(np.prod(shape)) for shape in shapes], dim=-1)
            w1, b1, w2, b2, w3, b3 = (
                v.view(c.teachers, c.seeds, *shape) for v, shape in zip(split, shapes, strict=True)
            )
            hidden = ((x @ w1 + b1).relu() @ w2 + b2).relu()
            outputs = hidden @ w3.mT + b3
            value = outputs[..., -1] - (outputs[..., 0] if c.outputs == 2 else 0)
            if c.loss == "kl":
                losses = torch.nn.functional.softplus(value) - y * value
            else:
                losses = (value - y).abs() ** c.loss
            (slope,) = torch.autograd.grad(losses.mean(-1).sum(), self._values)
        with torch.no_grad():
            self._mean.lerp_(slope, 1 - BETA1)
            self._square.mul_(BETA2).addcmul_(slope, slope, value=1 - BETA2)
            rate, root = corrections[done.long()].unbind()
            self._values -= rate * self._mean / (self._square.sqrt() * root + EPSILON)


class Batched(replicas.Width):
    """The same by PyTorch's batched products, the gradient written down."""

    def train(
        self, inputs: Tensor, targets: Tensor, number: int, batch: int,
        corrections: Tensor, done: Tensor,
    ) -> None:  # fmt: skip
        c, n, w = self._c, self._width, self.weights
        part, shape = slice(number * batch, (number + 1) * batch), (c.teachers, c.seeds, batch)
        x = inputs[:, None, part].expand(*shape, c.seen).reshape(-1, batch, c.seen)
        y = targets[:, None, part].expand(shape).reshape(-1, batch, 1)
        shapes = [(c.seen, n), (1, n), (n, n), (1, n), (c.outputs, n), (1, c.outputs)]
        split = w.values.split([int(np.prod(shape)) for shape in shapes], dim=-1)
        w1, b1, w2, b2, w3, b3 = (
            v.view(-1, *shape) for v, shape in zip(split, shapes, strict=True)
        )
        if c.outputs == 2:
            w3, b3 = w3[:, 1:] - w3[:, :1], b3[..., 1:] - b3[..., :1]
        backward = torch.ops.aten.threshold_backward
        hidden1 = torch.baddbmm(b1, x, w1).relu_()
        hidden2 = torch.baddbmm(b2, hidden1, w2).relu_()
        value = torch.baddbmm(b3, hidden2, w3.mT)
        if c.loss == "kl":
            slope = (value.sigmoid_() - y) / batch
        else:
            error = value - y
            slope = error.sign() * error.abs() ** (c.loss - 1) * (c.loss / batch)
        errors2 = backward(slope * w3, hidden2, 0)
        errors1 = backward(torch.bmm(errors2, w2.mT), hidden1, 0)
        s3, s_bias3 = torch.bmm(slope.mT, hidden2), slope.sum(1)
        if c.outputs == 2:
            s3, s_bias3 = torch.cat([-s3, s3], 1), torch.cat([-s_bias3, s_bias3], 1)
        found = [torch.bmm(x.mT, errors1), errors1.sum(1), torch.bmm(hidden1.mT, errors2)]
        found += [errors2.sum(1), s3, s_bias3]
        torch.cat([part.flatten(1) for part in found], 1, out=w.partials)
        w.update(replicas.OPTIMIZER, corrections, done)


WAYS = {"fused": replicas.Width, "batched": Batched, "plain": Plain}


def reference(c: Configuration) -> list[np.ndarray]:
    """The students' values as the CPU trains them in float64, of each width."""
    c = replace(c, precision="float64")
    widths = [Plain(c, width, CPU) for width in c.widths]
    for width in widths:
        width.load()
    teachers = [Teacher(c, number, CPU, torch.float64) for number in range(c.teachers)]
    corrections, done = torch.from_numpy(schedule(c)).double(), 0
    for phase in c.phases:
        for _ in range(phase.steps):
            sample = np.arange(phase.batch_size)
            drawn = [
                draws.inputs(c, number, draws.TRAINING, sample, done)
                for number in range(c.teachers)
            ]
            inputs = torch.from_numpy(np.stack(drawn)).double()
            pairs = zip(teachers, inputs, strict=True)
            targets = torch.stack([teacher.targets(x) for teacher, x in pairs])
            for width in widths:
                width.train(inputs, targets, 0, phase.batch_size, corrections, torch.tensor(done))
            done += 1
    return [width.values.numpy() for width in widths]


def trained(c: Configuration) -> list[np.ndarray]:
    return replicas.train(c, CUDA, lambda done, loss: None).values


def check() -> None:
    small = replace(
        configuration(4, fraction=0.0, teachers=2, seeds=2, evaluations=1),
        phases=(Phase(40, 200, 0.01), Phase(8, 1000, 0.01), Phase(2, 4000, 0.001)),
    )
    drawn = torch.zeros(2, 4000, small.seen, device=CUDA)
    done = torch.tensor(7, dtype=torch.int32, device=CUDA)
    kernels.draw[(16, 2)](drawn, done, 4000, 1000, 4, draws.TRAINING, small.seen, 256)
    number = np.arange(4000)
    expected = np.stack(
        [draws.inputs(small, t, draws.TRAINING, number % 1000, 7 + number // 1000) for t in (0, 1)]
    )
    assert (drawn.cpu().numpy() == expected).all(), "samples differ"
    print("samples: the same bits")
    wanted = Teacher(small, 1, CPU, torch.float64).values(torch.from_numpy(expected[1]).double())
    for real in (torch.float32, torch.float64):
        made = Teacher(small, 1, CUDA, real).values(drawn[1].to(real)).cpu().double()
        far = float((made - wanted).abs().max() / wanted.std())
        print(f"teacher in {real}: {far:.1e} of its spread from the CPU's float64")
    kinds = {
        "squared": {}, "kl": {"loss": "kl"}, "cubed": {"loss": 3.0},
        "product": {"dimension": 3, "factors": 3, "inputs": 9},
        "relevant": {"inputs_seen": "relevant"}, "wide": {"widths": (62, 81, 106)},
    }  # fmt: skip
    for name, kind in kinds.items():
        c = replace(small, **kind)
        expected = reference(c)
        for way in (
            ("float32", "ieee", "fused"), ("float32", "tf32x3", "fused"),
            ("float64", "ieee", "fused"), ("float32", "ieee", "batched"),
        ):  # fmt: skip
            precision, replicas.PRECISION, kind = way
            replicas.Width, replicas.SHARES = WAYS[kind], 4 if kind == "fused" else 1
            try:
                ours = trained(replace(c, precision=precision))
            except Exception as error:
                print(f"{name} {' '.join(way)}: {type(error).__name__} {error}"[:300], flush=True)
                continue
            far = [np.abs(a - b) for a, b in zip(ours, expected, strict=True)]
            most, mean = max(f.max() for f in far), max(f.mean() for f in far)
            print(f"{name} {' '.join(way)}: largest {most:.1e}, mean {mean:.1e} off", flush=True)
    replicas.PRECISION, replicas.SHARES, replicas.Width = "ieee", 4, WAYS["fused"]
    for kind in ("fused", "batched"):
        replicas.Width, replicas.SHARES = WAYS[kind], 4 if kind == "fused" else 1
        once, again = trained(small), trained(small)
        alone = trained(replace(small, widths=small.widths[2:3], teachers=1, seeds=1))
        same = all((a == b).all() for a, b in zip(once, again, strict=True))
        print(f"{kind}, trained twice: the same bits {same}")
        same = bool((alone[0][0, 0] == once[2][0, 0]).all())
        print(f"{kind}, one student without the others: the same bits {same}", flush=True)
    replicas.SHARES, replicas.Width = 4, WAYS["fused"]


def timed(c: Configuration) -> Iterator[tuple[Phase, float]]:
    """Milliseconds a step, by phase, of 0.3 s of steps."""
    students = replicas.SideBySide(c, CUDA)
    students.load()
    for phase, advance in zip(c.phases, students.advance, strict=True):
        students.done.zero_()
        advance()
        torch.cuda.synchronize()
        start, count = time.perf_counter(), 0
        while time.perf_counter() < start + 0.3:
            advance()
            torch.cuda.synchronize()
            count += c.ahead(phase)
            students.done.zero_()
        yield phase, (time.perf_counter() - start) / count * 1e3


def steps(*which: str) -> None:
    """Time each way, at d = 4 and 12; words choose among them."""
    narrow, wide = {16: (64, 4), 32: (32, 4), 64: (32, 8)}, {128: (64, 8)}
    ways = [
        ("fused", "ieee", "float32", 4, replicas.TILES),
        ("fused", "tf32x3", "float32", 4, narrow | wide),
        ("fused", "ieee", "float64", 4, narrow),  # none for 128: they do not fit
        ("batched", "ieee", "float32", 1, narrow | wide),
        ("batched", "ieee", "float64", 1, narrow | wide),
        ("fused", "ieee", "float32", 4, narrow | {128: (16, 8)}),
        ("fused", "ieee", "float32", 7, replicas.TILES),
        ("fused", "tf32x3", "float32", 4, {16: (64, 4), 32: (64, 4), 64: (64, 8), 128: (64, 16)}),
    ]
    for d in (4, 12):
        for way in ways:
            name = f"d={d} " + " ".join(map(str, way))
            if not all(word in name for word in which):
                continue
            kind, replicas.PRECISION, precision, replicas.SHARES, replicas.TILES = way
            replicas.Width = WAYS[kind]
            try:
                start = time.perf_counter()
                found = list(timed(configuration(d, precision=precision)))
                took = time.perf_counter() - start - 0.9
            except Exception as error:
                print(f"{name}: {type(error).__name__} {error}"[:300], flush=True)
                continue
            full = sum(phase.steps * ms for phase, ms in found) / 1e3
            each = ", ".join(f"{phase.batch_size}: {ms:.4f}" for phase, ms in found)
            print(
                f"{name}: ms a step {each}; schedule {full:.0f} s, start {took:.0f} s", flush=True
            )
    replicas.Width = WAYS["fused"]


def run(*settings: str) -> None:
    """Train one configuration, and print 4/alpha of all students' losses against N."""
    values = dict(setting.split("=") for setting in settings)
    kinds = configuration.__annotations__
    replicas.PRECISION = values.pop("product", replicas.PRECISION)
    replicas.Width = WAYS[values.pop("way", "fused")]
    replicas.SHARES = 4 if replicas.Width is WAYS["fused"] else 1
    if replicas.PRECISION == "tf32x3":
        replicas.TILES |= {64: (32, 8), 128: (64, 8)}
    elif values.get("precision") == "float64":
        replicas.TILES |= {64: (32, 8)}
    c = configuration(**{key: kinds[key](value) for key, value in values.items()})
    start = last = time.perf_counter()

    def report(done: int, loss: float) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"  {now - last:.1f} s, mean loss {loss:.3g}", flush=True)
        last = now

    losses = replicas.train(c, CUDA, report).losses
    print(f"{' '.join(settings)}: {time.perf_counter() - start:.1f} s")
    N = np.log([c.parameters(width) for width in c.widths])
    for i, (phase, step) in enumerate(c.evaluated()):
        logs = np.log(losses[..., i])
        slopes = [-4 / np.polyfit(N, np.median(logs[t], axis=1), 1)[0] for t in range(c.teachers)]
        medians = " ".join(f"{value:.2e}" for value in np.exp(np.median(logs, axis=(0, 2))))
        each = " ".join(f"{slope:.2f}" for slope in slopes)
        print(f"phase {phase} step {step}: 4/alpha by teacher {each}; median losses {medians}")


if __name__ == "__main__":
    {"check": check, "steps": steps, "run": run}[sys.argv[1]](*sys.argv[2:])
