"""Students on a GPU: what they are held against, how long a step takes, and whole runs.

`python -m bench.students check` holds samples, teachers and students against those of the CPU,
trains twice, and trains one without the others; it fails where anything is off. `steps` times a
step of each phase by the ways to tile it. `run d=4 loss=kl fraction=0.1` trains, and prints the
losses and 4/alpha. None of them needs pydantic.
"""

import sys
import time
from dataclasses import replace

import numpy as np
import torch

from stages.students import draws, one, replicas
from stages.students.configuration import Configuration, Phase
from stages.students.history import Trained
from stages.students.teacher import Teacher

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
SCHEDULE = ((200_000, 200, 0.01), (20_000, 1_000, 0.01), (20_000, 4_000, 0.001))
WAYS = {
    16: [(64, 16, 4), (32, 16, 2), (16, 16, 1)],
    32: [(32, 32, 4), (64, 32, 4), (32, 32, 2), (16, 32, 2)],
    64: [(32, 64, 8), (16, 64, 8), (16, 64, 4), (32, 64, 4)],
    128: [(16, 64, 8), (32, 64, 8)],
}
"""What `steps` tries in place of `replicas.TILES`."""
CLASSES = {16: (8, 10, 13), 32: (17, 22, 29), 64: (37, 48, 62), 128: (72, 81, 106)}
"""Widths by what they are padded to."""


def configuration(
    d: int = 4, loss: str = "2", fraction: float = 1.0, teachers: int = 3, seeds: int = 10,
    evaluations: int = 5, precision: str = "float64", seen: str = "all", scale: float = 6.0,
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


def trained(c: Configuration) -> Trained:
    return replicas.train(c, CUDA, lambda done, loss: None)


class Faults:
    """What was found off, printed as it is found."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def same(self, name: str, ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
        self._note(name, all(map(np.array_equal, ours, theirs)), "the same bits")

    def near(self, name: str, far: float, allowed: float) -> None:
        self._note(name, far <= allowed, f"{far:.1e} off, allowed {allowed:.0e}")

    def _note(self, name: str, right: bool, what: str) -> None:
        print(f"{'ok' if right else 'FAULT'}: {name}: {what}", flush=True)
        self.names += [] if right else [name]


def samples(c: Configuration, faults: Faults) -> None:
    phase = replace(c.phases[0], steps=4, batch_size=1000)
    students = replicas.SideBySide(replace(c, phases=(phase,)), CUDA)
    made = torch.zeros(c.teachers, 4000, c.seen, dtype=torch.float64, device=CUDA)
    students.done.fill_(7)
    students.draw(phase, made)
    number = np.arange(4000)
    for t in range(c.teachers):
        drawn = draws.inputs(c, t, draws.TRAINING, number % 1000, 7 + number // 1000)
        faults.same(f"samples of teacher {t}", [made[t].cpu().numpy()], [drawn])
        x = torch.from_numpy(drawn).double()
        wanted = Teacher(c, t, CPU, torch.float64).values(x)
        values = Teacher(c, t, CUDA, torch.float64).values(x.to(CUDA)).cpu()
        far = float((values - wanted).abs().max() / wanted.std())
        faults.near(f"values of teacher {t}", far, 1e-12)


def check() -> None:
    faults = Faults()
    small = replace(
        configuration(4, teachers=2, seeds=2, evaluations=1),
        phases=(Phase(40, 200, 0.01), Phase(8, 1000, 0.01), Phase(2, 4000, 0.001)),
    )
    samples(small, faults)
    kinds = {
        "squared": {}, "kl": {"loss": "kl"}, "cubed": {"loss": 3.0},
        "product": {"dimension": 3, "factors": 3, "inputs": 9},
        "relevant": {"inputs_seen": "relevant"}, "wide": {"widths": CLASSES[128]},
        "float32": {"precision": "float32"},
    }  # fmt: skip
    for name, kind in kinds.items():
        c = replace(small, **kind)
        ours = trained(c).values
        theirs = one.train(replace(c, precision="float64"), lambda done, loss: None).values
        far = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
        faults.near(f"students, {name}", far, 1e-2 if c.precision == "float32" else 1e-7)

    longer = replace(
        configuration(4, seeds=3, evaluations=2),
        phases=(Phase(800, 200, 0.01), Phase(80, 1000, 0.01), Phase(20, 4000, 0.001)),
    )
    ours, theirs = trained(longer), one.train(longer, lambda done, loss: None)
    for t in range(longer.teachers):
        far = float(np.abs(ours.losses[t] / theirs.losses[t] - 1).max())
        faults.near(f"losses of teacher {t} over {longer.steps} steps", far, 1e-2)
        learned = float((ours.losses[t, ..., -1] / ours.losses[t, ..., 0]).max())
        faults.near(f"teacher {t}, last loss as a share of an early one", learned, 1.0)

    wide = replace(small, widths=CLASSES[128])
    for c in (small, wide):
        once = trained(c)
        faults.same(f"widths {c.widths}, twice", once.values, trained(c).values)
        for i in (0, 2):
            alone = trained(replace(c, widths=c.widths[i : i + 1], teachers=1, seeds=1))
            beside = once.values[i][0, 0]
            faults.same(f"width {c.widths[i]}, alone", [alone.values[0][0, 0]], [beside])
            faults.same("its losses", [alone.losses[0, 0, 0]], [once.losses[0, i, 0]])
    if faults.names:
        sys.exit(f"{len(faults.names)} faults: {'; '.join(faults.names)}")


def timed(c: Configuration) -> list[float]:
    """Milliseconds a step, by phase, of 0.2 s of steps."""
    students, found = replicas.SideBySide(c, CUDA), []
    students.load()
    for phase in c.phases:
        students.done.zero_()
        students.advance(phase, 0)
        torch.cuda.synchronize()
        start, count = time.perf_counter(), 0
        while time.perf_counter() < start + 0.2:
            students.advance(phase, 0)
            torch.cuda.synchronize()
            count += c.ahead(phase)
            students.done.zero_()
        found.append((time.perf_counter() - start) / count * 1e3)
    return found


def steps(precision: str = "float64") -> None:
    """Time the ways to tile each class of widths, 3 widths of 30 students, then whole sweeps."""

    def show(name: str, c: Configuration) -> None:
        try:
            found = timed(c)
        except Exception as error:  # a way that does not fit
            print(f"{name}: {type(error).__name__} {error}"[:200], flush=True)
            return
        full = sum(steps * ms for (steps, *_), ms in zip(SCHEDULE, found, strict=True)) / 1e3
        each = " ".join(f"{ms:.4f}" for ms in found)
        print(f"{name}: ms a step by phase {each}; schedule {full:.1f} s", flush=True)

    for units, ways in WAYS.items():
        for way in ways:
            for shares in (4, 8):
                replicas.TILES[units], replicas.SHARES = way, shares
                c = replace(configuration(precision=precision), widths=CLASSES[units])
                show(f"units {units}, tile own warps {way}, shares {shares}", c)
        replicas.TILES[units], replicas.SHARES = ways[0], 4
    for settings in ({"d": 4}, {"d": 8}, {"d": 12}, {"d": 4, "loss": "kl"}):
        show(str(settings), configuration(precision=precision, **settings))


def run(*settings: str) -> None:
    """Train one configuration, and print 4/alpha of all students' losses against N."""
    values = dict(setting.split("=") for setting in settings)
    kinds = configuration.__annotations__
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
