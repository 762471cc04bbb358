"""How often the intervals hold the truth: measured on simulated sweeps of known exponent.

Every case is one kind of sweep and one kind of fit, as `stages.manifold.fits` makes them. An
interval at 95% should hold the exponent in 95 of 100 simulated sweeps; `coverage_low` to
`coverage_high` is what the number of simulated sweeps leaves open (Clopper & Pearson).

What to expect: coverage within a few points of the nominal one, two seeds per width included.
Where failed runs are left in, the law no longer holds at the smallest width: that row shows what
they do to the median, which is why fits with and without them stand side by side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.base.params import Calibration, Fit
from stages.base.workers import Apply
from stages.manifold import samples, selection, simulate
from stages.manifold.simulate import Truth
from stages.statistics import irreducible, power_law
from stages.statistics.bootstrap import Resampling
from stages.statistics.intervals import coverage
from stages.statistics.power_law import Law, Request

WIDTHS = range(1, 21)


@dataclass(frozen=True)
class Case:
    """One kind of sweep, and one kind of fit to its validation loss."""

    name: str
    truth: Truth
    seeds: int
    epochs: str = "last"
    quantile: float = 0.5
    failed: str = "included"
    model: str = "power_law"

    @property
    def alpha(self) -> float:
        """The exponent to find."""
        if self.model == "power_law":
            return -self.truth.slope(self.quantile, self.epochs)
        return self.truth.alpha


LABELS = ("seeds", "epochs", "quantile", "failed", "model")
_TRAINING = Truth(epochs=10, drift=10.0, tilt=0.3)
_FAILING = Truth(failing=0.2)
_FLOOR = Truth(alpha=0.5, irreducible=0.6)

CASES = [
    Case("many seeds", Truth(), seeds=40),
    Case("ten seeds", Truth(), seeds=10),
    Case("two seeds", Truth(), seeds=2),
    Case("spread changes with N", Truth(tilt=0.3), seeds=10, quantile=0.2),
    Case("all epochs", _TRAINING, seeds=10, epochs="pooled"),
    Case("all epochs, two seeds", _TRAINING, seeds=2, epochs="pooled"),
    Case("failed runs left out", _FAILING, seeds=10, failed="excluded"),
    Case("failed runs left in", _FAILING, seeds=10),
    Case("irreducible loss", _FLOOR, seeds=5, model="irreducible_loss"),
]


def measure(fit: Fit, calibration: Calibration, apply: Apply = map) -> pd.DataFrame:
    """A table with one row per case.

    `apply` is how to map a function over the cases: an executor's `map` does several at a time.
    """
    return pd.DataFrame(apply(_row, [(case, fit, calibration) for case in CASES]))


def _laws(case: Case, fit: Fit, calibration: Calibration) -> Iterator[Law]:
    resampling = Resampling(fit.confidence, fit.resamples, fit.seed)
    request = Request(case.quantile, WIDTHS[0], WIDTHS[-1])
    for number in range(calibration.sweeps):
        rng = np.random.default_rng([calibration.seed, CASES.index(case), number])
        table = simulate.sweep(case.truth, WIDTHS, case.seeds, rng)
        if case.failed == "excluded":
            table = selection.sound(table, selection.failures(table, fit.failed_above))
        sample = samples.sample(selection.choose(table, case.epochs), "validation_loss")
        if case.model == "power_law":
            yield power_law.fit(sample, [request], resampling)[request]
        else:
            huber = fit.sensitivity.huber
            yield irreducible.fit(sample, request.first, request.last, resampling, huber)


def _row(task: tuple[Case, Fit, Calibration]) -> dict[str, Any]:
    case, fit, calibration = task
    found = [(law.alpha, law.alpha_low, law.alpha_high) for law in _laws(case, fit, calibration)]
    kind = {name: getattr(case, name) for name in LABELS}
    covered = coverage(found, case.alpha, fit.confidence, "sweeps", "mean_alpha")
    return {"case": case.name} | kind | {"alpha": case.alpha} | covered
