"""Training as a process of its own that SIGKILLs itself: `python -m tests.helpers.killed`.

Trains with one of the engines, keeps after every round, and leaves `made.npz`; several times, each
in a fork of a process that has imported everything.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stages.base import params
from stages.base.params import CnnSweep, ParityConfiguration
from stages.classification import modules
from stages.classification.history import Run
from stages.classification.splits import Data, Split
from stages.images.arrays import Images
from stages.parity.plan import Family
from stages.students.configuration import Phase
from stages.studies import branches
from stages.training import kept
from stages.training.adam import Adam
from tests.helpers.root import ROOT

CPU = torch.device("cpu")
ENGINES = {
    "cnn.one": 4,
    "cnn.replicas": 2,
    "cnn.branches": 2,
    "parity.one": 4,
    "parity.replicas": 2,
    "students.one": 4,
    "students.replicas": 4,
}
"""The engines, and how many reports each makes: two or four rounds of training."""


class Report:
    """Kills the process at the `at`th report; 0: never."""

    def __init__(self, at: int) -> None:
        self.at, self.reports, self.skipped = at, 0, 0

    def __call__(self, done: int, loss: float) -> None:
        self.reports += 1
        if self.reports == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def skip(self, done: int) -> None:
        self.skipped += done

    def say(self, text: str) -> None:
        print(text)


def cnn(engine: str, report: Report, keeping: kept.Kept) -> dict[str, np.ndarray]:
    from stages.cnn import one, replicas

    for tile in ("CONV1_CELLS", "CONV1_WEIGHT_CELLS", "CONV2_WEIGHT_ROWS", "K"):
        setattr(replicas, tile, 128)  # few programs: the interpreter takes its time over each
    random = np.random.default_rng(0)
    images = Images(
        random.integers(0, 256, (3, 32, 32, 3), np.uint8),
        np.arange(3, dtype=np.uint8),
        random.integers(0, 256, (1, 32, 32, 3), np.uint8),
        np.zeros(1, np.uint8),
    )
    sweep = params.load(ROOT / "params.yaml").cnn.sweeps["notebook"]
    few = {"batch_size": 2, "epochs": 2, "weights_seeds": 2, "best_weights": True}
    few |= {"learning_rate": 0.1, "precision": "tf32"}  # best before the last epoch
    sweep = sweep.model_copy(update=few)
    if engine == "branches":  # any network's
        return branched(sweep, images, report, keeping)
    if engine == "one":
        trained = one.train(sweep, 1, [0, 1], images, report, keeping)
    else:
        trained = replicas.train(sweep, 1, [0, 1], images, CPU, report, keeping)
    return trained.history.values | {n: value.numpy() for n, value in trained.tensors(1).items()}


def branched(
    sweep: CnnSweep, images: Images, report: Report, keeping: kept.Kept
) -> dict[str, np.ndarray]:
    data = Data(
        Split.of(images.train_images, images.train_labels),
        Split.of(images.test_images, images.test_labels),
    )

    def initial(run: Run) -> nn.Module:
        def build() -> nn.Module:  # with batch statistics, which are kept too
            return nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3072, 10))

        return modules.initial(build, run.seed, "pytorch")

    rates = Adam.of(sweep).rates(4, falling=True)
    runs = [Run(1, 0), Run(1, 1)]
    trained = branches.train(sweep, runs, initial, data, rates, CPU, report, keeping)
    return trained.history.values | {n: value.numpy() for n, value in trained.tensors(1).items()}


def parity(engine: str, report: Report, keeping: kept.Kept) -> dict[str, np.ndarray]:
    from stages.parity import one, replicas

    for each in ("FORWARD", "EVALUATION", "BITS", "TASKS"):  # few programs
        setattr(replicas, each, replace(getattr(replicas, each), shares=2))
    configuration = ParityConfiguration.model_validate({
        "tasks": 3, "bits": 20, "subset_size": 3, "alpha": 0.4, "widths": [8], "logits": 1,
        "optimizer": "adam", "learning_rate": 1e-2, "weight_decay": 0.0, "batch_size": 90,
        "steps": 4, "evaluate_every": 2, "evaluation_samples": 30, "seeds": 2,
        "precision": "float32", "learned_below": 0.49, "task_curves": 3,
    })  # fmt: skip
    family = Family([8], [0], [0, 1], 4, 2)
    if engine == "one":
        history = one.train(configuration, family, report, keeping)
    else:
        history = replicas.train(configuration, family, CPU, report, keeping)
    return {str(i): array for i, array in enumerate(history.state(slice(None)))}


def students(engine: str, report: Report, keeping: kept.Kept) -> dict[str, np.ndarray]:
    from stages.students import one, replicas
    from tests.helpers.students import SMALL

    c = replace(SMALL, phases=(Phase(4, 7, 0.01), Phase(2, 20, 0.001)))
    if engine == "one":
        trained = one.train(c, report, keeping)
    else:
        trained = replicas.train(c, CPU, report, keeping)
    return {str(width): v for width, v in zip(c.widths, trained.values, strict=True)} | {
        "losses": trained.losses
    }


def train(engine: str, folder: Path, key: str, at: int) -> None:
    kept.PERIOD, kept.SHARE = 0.0, float("inf")
    report = Report(at)
    keeping = kept.Kept(folder / "kept", lambda: key, report)  # type: ignore[arg-type]
    room, _, name = engine.partition(".")
    made = {"cnn": cnn, "parity": parity, "students": students}[room](name, report, keeping)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "made.npz", **made, reports=report.reports, skipped=report.skipped)


def main() -> None:
    """Arguments: an engine, a folder, and for each training its name there, key and last report."""
    engine, folder = sys.argv[1], Path(sys.argv[2])
    for name, key, at in (training.split(":") for training in sys.argv[3:]):
        if not (child := os.fork()):
            train(engine, folder / name, key, int(at))
            return
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if int(at) else 0)
        assert (folder / name / "made.npz").exists() == (not int(at))


if __name__ == "__main__":
    main()
