"""`make bench`: our engine against the notebook's loop, in one run on one machine.

Both train on the same random images of CIFAR-10's size, or parity samples, through the code that
the stages run. A time is the median of repeats, in brackets the smallest and the largest; the
first repeats are warm-up and not counted. Ratios are of medians. The engine trains several runs
side by side, one a core on a CPU; its time per step is that of one run among them.

Prints a table and writes bench/<device>.json.
"""

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import notebook
from stages import errors, params
from stages.cnn.images import Images
from stages.cnn.train import train as train_cnn
from stages.parity.train import train as train_parity
from stages.runs import aside
from stages.training import cpu, device

WIDTHS = (1, 10, 20)
WARM, REPEATS = 2, 5
STEPS = {"cpu": 10, "cuda": 200}
"""Steps of a repeat."""
RUNS = {"cpu": (cpu.cores(),), "cuda": (1, 10, 40)}
"""Runs side by side."""
SCALING_RUNS, SCALING_WIDTHS, SCALING_EPOCHS = (1, 2, 4, 8), (1, 5, 10, 15, 20), 16

Times = list[float]


def summary(times: Times, per: float = 1e-3) -> dict[str, float]:
    """Median and range, in milliseconds or in units of `per` seconds."""
    found = {"median": statistics.median(times), "low": min(times), "high": max(times)}
    return {name: round(value / per, 4) for name, value in found.items()}


def stepped(steps: Iterator[float], count: int, repeats: int = REPEATS) -> Times:
    """Seconds a step of the baseline, by repeat."""
    times = []
    for _ in range(WARM + repeats):
        start = time.perf_counter()
        for _ in islice(steps, count):
            pass
        times.append((time.perf_counter() - start) / count)
    return times[WARM:]


class Clock:
    """Takes an engine's reports; notes when each round of `size` was done."""

    def __init__(self, size: int) -> None:
        self._size, self._done = size, 0
        self.start = time.perf_counter()
        self.rounds: Times = []

    def __call__(self, done: int, loss: float) -> None:
        before, self._done = self._done, self._done + done
        for _ in range(self._done // self._size - before // self._size):
            self.rounds.append(time.perf_counter())

    def seconds(self) -> Times:
        """Of each counted round."""
        return list(np.diff(self.rounds)[WARM - 1 :])


def images(count: int) -> Images:
    """Random images, as many to train on; the least to validate on."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 10, count).astype(np.uint8)
    return Images(pixels, labels, pixels[:1], labels[:1])


def cnn(p: params.Params, width: int, runs: int, steps: int, where: torch.device) -> Clock:
    """Train `runs` networks for as many epochs of `steps` as there are repeats."""
    sweep = p.cnn.sweeps["notebook"].model_copy(update={"epochs": WARM + REPEATS})
    data = images(steps * sweep.batch_size)
    clock = Clock(runs)
    train_cnn(sweep, width, range(runs), data, where, clock)
    return clock


def rows_cnn(p: params.Params, where: torch.device) -> Iterator[dict[str, Any]]:
    steps = STEPS[where.type]
    sweep = p.cnn.sweeps["notebook"]
    for width in WIDTHS:
        data = images(20 * sweep.batch_size)
        loop = notebook.cnn_steps(sweep, width, data.train_images, data.train_labels, where)
        torch.set_num_threads(cpu.cores())
        baseline = stepped(loop, 10)
        for runs in RUNS[where.type]:
            times = [t / steps / runs for t in cnn(p, width, runs, steps, where).seconds()]
            yield row(f"CNN n={width}", runs, baseline, times)


def rows_parity(p: params.Params, where: torch.device) -> Iterator[dict[str, Any]]:
    steps = STEPS[where.type]
    c = p.parity.configurations["notebook"]
    torch.set_num_threads(cpu.cores())
    baseline = stepped(notebook.parity_steps(c, where), 5)
    for runs in RUNS[where.type]:
        c = c.model_copy(update={"steps": steps * (WARM + REPEATS), "seeds": runs})
        clock = Clock(runs * steps)
        train_parity(c, c.families()[0], where, clock)
        yield row("parity", runs, baseline, [t / steps / runs for t in clock.seconds()])


def row(name: str, runs: int, baseline: Times, times: Times) -> dict[str, Any]:
    ratio = statistics.median(baseline) / statistics.median(times)
    return {
        "what": name,
        "runs": runs,
        "ratio": round(ratio, 1),
        "ours_ms": summary(times),
        "notebook_ms": summary(baseline),
    }


def rows_scaling(p: params.Params, where: torch.device) -> Iterator[dict[str, Any]]:
    """How the cost of a run's step changes with the number of runs, the width and the epochs."""
    steps = STEPS[where.type]

    def per_step(width: int, runs: int) -> dict[str, float]:
        times = cnn(p, width, runs, steps, where).seconds()
        return summary([t / steps / runs for t in times])

    many = max(RUNS[where.type])
    for runs in SCALING_RUNS:
        yield {"what": f"n=5, {runs} runs", "ours_ms": per_step(5, runs)}
    for width in SCALING_WIDTHS:
        yield {"what": f"n={width}, {many} runs", "ours_ms": per_step(width, many)}
    sweep = p.cnn.sweeps["notebook"].model_copy(update={"epochs": SCALING_EPOCHS})
    clock = Clock(many)
    train_cnn(sweep, 5, range(many), images(steps * sweep.batch_size), where, clock)
    times = [t / steps / many for t in clock.seconds()]
    half = len(times) // 2
    yield {"what": f"n=5, epochs 3 to {WARM + half}", "ours_ms": summary(times[:half])}
    yield {"what": f"n=5, epochs after {WARM + half}", "ours_ms": summary(times[half:])}


def rows_start(p: params.Params, where: torch.device) -> Iterator[dict[str, Any]]:
    """What each training stage pays once."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import stages.train_cnn"], check=True)
        times.append(time.perf_counter() - start)
    yield {"what": "start-up: imports, s", "ours_ms": summary(times, per=1)}
    runs = max(RUNS[where.type])
    for width in (1, 20):
        clock = cnn(p, width, runs, STEPS[where.type], where)
        first = clock.rounds[0] - clock.start - statistics.median(clock.seconds())
        what = f"start-up: n={width}, compile and capture, s"
        yield {"what": what, "ours_ms": summary([max(first, 0.0)], per=1)}


def shown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table; the ratio first."""

    def times(found: dict[str, float] | None) -> str:
        return "{median:.4g} [{low:.4g}, {high:.4g}]".format(**found) if found else ""

    lines = [f"{'':42}{'ratio':>8}{'runs':>6}  {'ours, ms':26}{'notebook, ms'}"]
    for r in rows:
        ratio = f"{r['ratio']:.1f}" if "ratio" in r else ""
        ours, theirs = times(r["ours_ms"]), times(r.get("notebook_ms"))
        lines.append(f"{r['what']:42}{ratio:>8}{r.get('runs', ''):>6}  {ours:26}{theirs}".rstrip())
    return "\n".join(lines)


def main() -> None:
    where = device.choose()
    p = params.load()
    rows: list[dict[str, Any]] = []
    for part in (rows_cnn, rows_parity, rows_scaling, rows_start):
        for found in part(p, where):
            rows.append(found)
            print(shown(rows).splitlines()[-1], file=sys.stderr, flush=True)
    name = torch.cuda.get_device_name() if where.type == "cuda" else platform.machine()
    about = {"device": name, "cores": cpu.cores(), "torch": torch.__version__}
    about |= {"warm_up": WARM, "repeats": REPEATS, "steps": STEPS[where.type]}
    with aside(Path(f"bench/{where.type}.json")) as path:
        path.write_text(json.dumps(about | {"rows": rows}, indent=2) + "\n")
    print(f"{name}, {cpu.cores()} cores; median [smallest, largest] of {REPEATS} repeats")
    print(shown(rows))


if __name__ == "__main__":
    errors.run(main)
