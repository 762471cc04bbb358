"""`make bench`: our engine against the notebook's loop, in one run on one machine.

Both train on the same random images of CIFAR-10's size, or parity samples, through the code that
the stages run. A time is the median of repeats, in brackets the smallest and the largest; the
first repeats are warm-up and not counted. Ratios are of medians. The engine trains several runs
side by side, one a core on a CPU; its time per step is that of one run among them. The loops of
the notebook come first: what the engine sets up in a process does not help them.

`python -m bench cnn` measures one part only: cnn, studies, parity, ... A whole run prints a
table and writes bench/<device>.json.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import notebook
from stages.base import errors, params, workers
from stages.base.files import aside
from stages.classification.modules import Kind
from stages.cnn.train import train as train_cnn
from stages.images.arrays import Images
from stages.parity.plan import families
from stages.parity.train import train as train_parity
from stages.students.plan import configurations
from stages.students.train import train as train_students
from stages.studies.train import by_module as train_study
from stages.training import device

WIDTHS = (1, 10, 20)
PERCEPTRON, SHAPE = 64, (3, 32, 32)
"""Units of a hidden layer of the perceptron, and the shape of what it sees."""
WARM, REPEATS = 2, 7
STEPS = {"cpu": 10, "cuda": 100}
"""How many steps a repeat has, by the kind of device."""
RUNS = {"cpu": sorted({1, workers.cores()}), "cuda": [1, 10, 40]}
"""How many runs are trained side by side, by the kind of device."""
STUDENTS = {"cpu": (0.1, 0.02), "cuda": (1.0, 0.05)}
"""The part of the students' schedule that a time is of, and the share of it that is trained."""
SCALING_RUNS, SCALING_WIDTHS, SCALING_EPOCHS = (1, 2, 4, 8), (1, 5, 10, 20), 16

Times = list[float]
Row = dict[str, Any]


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
        """Seconds of each counted round."""
        return list(np.diff(self.rounds)[WARM - 1 :])

    def steps(self, count: int) -> Times:
        """Seconds of each of so many steps of a round."""
        return [seconds / count for seconds in self.seconds()]

    def before(self) -> float:
        """Seconds before the first round began, if it took as long as the others."""
        return max(0.0, self.rounds[0] - self.start - statistics.median(self.seconds()))


def images(count: int) -> Images:
    """Random images, as many to train on; the least to validate on."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 10, count).astype(np.uint8)
    return Images(pixels, labels, pixels[:1], labels[:1])


def cnn(
    p: params.Params, width: int, runs: int, where: torch.device, epochs: int = 0
) -> tuple[Clock, Times]:
    """Train `runs` networks for as many epochs as there are repeats; and the time of a step."""
    sweep = p.cnn.sweeps["notebook"].model_copy(update={"epochs": epochs or WARM + REPEATS})
    steps = STEPS[where.type]
    clock = Clock(runs)
    train_cnn(sweep, width, range(runs), images(steps * sweep.batch_size), where, clock)
    return clock, clock.steps(steps * runs)


def loop(p: params.Params, network: str, width: int, where: torch.device) -> Times:
    """Times of the notebook's loop, with any network."""
    sweep = p.cnn.sweeps["notebook"]
    data = images(20 * sweep.batch_size)
    module = Kind(network, SHAPE, data.classes).initial(width, seed=0)
    steps = notebook.image_steps(sweep, module, data.train_images, data.train_labels, where)
    return stepped(steps, 10)


def rows_cnn(p: params.Params, where: torch.device) -> Iterator[Row]:
    loops = {width: loop(p, "cnn", width, where) for width in WIDTHS}
    for width in WIDTHS:
        for runs in RUNS[where.type]:
            clock, times = cnn(p, width, runs, where)
            yield row(f"CNN n={width}", runs, loops[width], times)
            yield start(f"CNN n={width}", runs, clock)


def rows_studies(p: params.Params, where: torch.device) -> Iterator[Row]:
    """Networks by their own modules: the CNN, for comparison, and a perceptron."""
    steps, sweep = STEPS[where.type], params.StudyTraining.of(p.cnn.sweeps["notebook"])
    of = [*(("cnn", width) for width in WIDTHS), ("mlp", PERCEPTRON)]
    loops = {network: loop(p, *network, where) for network in of}
    for network, width in of:
        for runs in RUNS[where.type]:
            change = {"epochs": WARM + REPEATS, "seeds": runs, "precision": "tf32"}  # not float16
            training = sweep.model_copy(update=change)
            study = params.Study(images="any", network=network, widths=[width], training=training)
            data, clock = images(steps * training.batch_size), Clock(runs)
            train_study(Kind(network, SHAPE, data.classes), study, data, where, clock)
            times = clock.steps(steps * runs)
            yield row(f"any network: {network} n={width}", runs, loops[network, width], times)


def rows_parity(p: params.Params, where: torch.device) -> Iterator[Row]:
    steps = STEPS[where.type]
    c = p.parity.configurations["notebook"]
    baseline = stepped(notebook.parity_steps(c, where), 5)
    for runs in RUNS[where.type]:
        c = c.model_copy(update={"steps": steps * (WARM + REPEATS), "seeds": runs})
        clock = Clock(runs * steps)
        train_parity(c, families(c)[0], where, clock)
        yield row("parity", runs, baseline, clock.steps(steps * runs))
        yield start("parity", runs, clock)


def row(name: str, runs: int, baseline: Times, times: Times) -> Row:
    ratio = round(statistics.median(baseline) / statistics.median(times), 1)
    ours, theirs = summary(times), summary(baseline)
    return {"what": name, "runs": runs, "ratio": ratio, "ours_ms": ours, "notebook_ms": theirs}


def start(name: str, runs: int, clock: Clock) -> Row:
    """What a stage pays before its first step; imports not included."""
    return {"what": f"start-up: {name}", "runs": runs, "ours_s": summary([clock.before()], 1)}


def rows_scaling(p: params.Params, where: torch.device) -> Iterator[Row]:
    """How the cost of a run's step changes with the number of runs, the width and the epochs."""
    many = max(RUNS[where.type])
    grid = [*((5, runs) for runs in SCALING_RUNS), *((width, many) for width in SCALING_WIDTHS)]
    for width, runs in grid:
        times = cnn(p, width, runs, where)[1]
        yield {"what": f"n={width}, {runs} runs", "ours_ms": summary(times)}
    times = cnn(p, 5, many, where, SCALING_EPOCHS)[1]
    half = len(times) // 2
    yield {"what": f"n=5, epochs 3 to {WARM + half}", "ours_ms": summary(times[:half])}
    yield {"what": f"n=5, epochs after {WARM + half}", "ours_ms": summary(times[half:])}


def rows_students(p: params.Params, where: torch.device) -> Iterator[Row]:
    """Students of teachers of d = 4: on a GPU as the stage trains them, on a CPU a tenth of it.

    By the number of teachers. A share of the schedule is trained, and its seconds are taken so many
    times: steps cost alike.
    """
    wanted, share = STUDENTS[where.type]
    few = {"evaluations": 1, "evaluation_samples": 100}  # at the ends of phases alone
    protocol = p.students.protocol.model_copy(update={"schedule": wanted * share} | few)
    c = configurations(p.students.model_copy(update={"protocol": protocol}))["squared_4"]
    teachers = {"cpu": (1, 3), "cuda": (c.teachers,)}[where.type]
    seeds = {"cpu": 5, "cuda": c.seeds}[where.type]
    for count in teachers:
        chosen = replace(c, teachers=count, seeds=seeds)
        clocks = {"wall": time.perf_counter, "processor": time.process_time}
        times: dict[str, Times] = {name: [] for name in clocks}
        for _ in range(1 + 3):  # the first is warm-up
            before = {name: clock() for name, clock in clocks.items()}
            train_students(chosen, where, lambda done, loss: None)
            for name, clock in clocks.items():
                times[name].append((clock() - before[name]) / share)
        students = count * len(c.widths) * seeds
        for name, each in times.items():
            what = f"students, {count} of {wanted:g} schedule, {name}"
            yield {"what": what, "runs": students, "ours_s": summary(each[1:], per=1)}


def rows_imports(p: params.Params, where: torch.device) -> Iterator[Row]:
    """What each training stage pays as well."""
    times = []
    for _ in range(3):
        before = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import stages.train_cnn"], check=True)
        times.append(time.perf_counter() - before)
    yield {"what": "start-up: imports", "ours_s": summary(times, per=1)}


PARTS = {
    "cnn": rows_cnn,
    "studies": rows_studies,
    "parity": rows_parity,
    "students": rows_students,
    "scaling": rows_scaling,
    "imports": rows_imports,
}


def shown(rows: Sequence[Row]) -> str:
    """The rows as a table; the ratio first."""

    def times(r: Row, whose: str) -> str:
        for unit in ("ms", "s"):
            if found := r.get(f"{whose}_{unit}"):
                return "{median:.4g} [{low:.4g}, {high:.4g}] ".format(**found) + unit
        return ""

    lines = [f"{'':42}{'ratio':>8}{'runs':>6}  {'ours':28}{'notebook'}"]
    for r in rows:
        ratio = f"{r['ratio']:.1f}" if "ratio" in r else ""
        ours, theirs = times(r, "ours"), times(r, "notebook")
        lines.append(f"{r['what']:42}{ratio:>8}{r.get('runs', ''):>6}  {ours:28}{theirs}".rstrip())
    return "\n".join(lines)


def measured(parts: Sequence[str], where: torch.device) -> list[Row]:
    """All rows, start-up last; nothing compiled before is used."""
    p = params.load()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as empty:
        os.environ |= {"TRITON_CACHE_DIR": empty, "NUMBA_CACHE_DIR": empty}
        for part in parts:
            for found in PARTS[part](p, where):
                rows.append(found)
                print(shown([found]).splitlines()[-1], file=sys.stderr, flush=True)
    return sorted(rows, key=lambda row: row["what"].startswith("start-up"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time training.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parts = parser.parse_args().parts or list(PARTS)
    for part in parts:
        if part not in PARTS:
            parser.error(f"{part}: no such part; there are {', '.join(PARTS)}")
    where = device.choose()
    rows = measured(parts, where)
    name = torch.cuda.get_device_name() if where.type == "cuda" else platform.machine()
    if parts == list(PARTS):
        about = {"device": name, "cores": workers.cores(), "torch": torch.__version__}
        about |= {"warm_up": WARM, "repeats": REPEATS, "steps": STEPS[where.type]}
        with aside(Path(f"bench/{where.type}.json")) as path:
            path.write_text(json.dumps(about | {"rows": rows}, indent=2) + "\n")
    print(f"{name}, {workers.cores()} cores; median [smallest, largest] of {REPEATS} repeats")
    print(shown(rows))


if __name__ == "__main__":
    errors.run(main)
