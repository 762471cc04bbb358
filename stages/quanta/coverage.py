"""How often the intervals of multitask sparse parity hold the truth: measured on simulated runs.

Every case is one kind of simulated family (`stages.quanta.simulate`) and one interval of
`stages.fit_parity`'s. The truth of a learning time's slope is put in; that of an exponent is what
the same fit finds on very many runs, as a finite number of tasks has no exponent of its own.

What to expect of intervals at 0.95: 0.92 to 0.98 over runs, with three seeds as with ten, and a
little less for alpha_D with three, which place its first size, a step, badly, and for the tasks
that all have learned with ten, whose interval is too narrow for a bias of 1%. An interval over
tasks holds the slope where runs differ in nothing else, and misses it often where their slopes
differ. Least squares on the learned tasks alone is biased, and its interval does not know that.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.base.params import Calibration, Quanta
from stages.base.workers import Apply
from stages.quanta import emergence, exponents, simulate
from stages.quanta.emergence import Kind
from stages.quanta.simulate import Truth
from stages.statistics.bootstrap import Resampling
from stages.statistics.intervals import coverage

Floats = npt.NDArray[np.float64]

WIDTHS = np.unique(np.geomspace(10, 300, 20).astype(int))
SIZES = np.geomspace(1e4, 5e6, 25)
LAST, EVERY = 20_000, 50
"""Steps of the runs whose learning times are fitted, and between their evaluations."""
MANY = 300  # seeds that make an exponent's truth
RESAMPLES = 100  # resamples of tasks within seeds; each is a fit
TASKS = 60  # tasks in a simulated run


@dataclass(frozen=True)
class Case:
    """One kind of family, and what is fitted to it."""

    name: str
    what: Literal["times", "N", "S", "D"]
    seeds: int
    kind: Kind = "all"
    scatter: float = 0.1
    between: float = 0.0


_FEW = [
    Case("learning times", "times", 3),
    Case("learning times, slopes of runs differ", "times", 3, between=0.05),
    Case("learning times, wide scatter", "times", 5, scatter=0.4),
    Case("learned tasks alone, wide scatter", "times", 5, "learned", scatter=0.4),
    Case("tasks that all have learned", "times", 3, "complete"),
    Case("alpha_N", "N", 3),
    Case("alpha_S", "S", 3),
    Case("alpha_D", "D", 3),
]
CASES = [*_FEW, *(replace(case, seeds=10) for case in _FEW if case.seeds == 3)]
"""Few seeds, and as many as the committed runs have."""


def measure(
    fit: Quanta, calibration: Calibration, frequencies: Floats, apply: Apply = map
) -> pd.DataFrame:
    """A table with a row for each case and kind of interval.

    Args:
        frequencies: of `TASKS` tasks or any other number, (tasks,).
        apply: how to map a function over the cases: an executor's `map` does several at a time.
    """
    rows = partial(_rows, fit=fit, calibration=calibration, frequencies=frequencies)
    return pd.DataFrame([row for some in apply(rows, CASES) for row in some])


def _rows(
    case: Case, fit: Quanta, calibration: Calibration, frequencies: Floats
) -> list[dict[str, Any]]:
    truth = Truth(frequencies, scatter=case.scatter, between=case.between)
    number = CASES.index(case)
    generators = [
        np.random.default_rng([calibration.seed, number, i]) for i in range(calibration.sweeps + 1)
    ]
    last = generators.pop()
    resampling = Resampling(fit.confidence, fit.resamples, fit.seed)
    intervals: dict[str, list[tuple[float, float, float]]]
    if case.what == "times":
        resampling = replace(resampling, resamples=RESAMPLES)
        known, runs = truth.slope, (truth, case.seeds, LAST, EVERY)
        laws = [
            emergence.law(simulate.times(*runs, rng), case.kind, resampling) for rng in generators
        ]
        intervals = {
            "seeds": [(law.slope, law.slope_low, law.slope_high) for law in laws],
            "tasks": [(law.slope, law.tasks_low, law.tasks_high) for law in laws],
        }
    else:
        known = _exponent(case, truth, MANY, fit, replace(resampling, resamples=1), last).value
        found = [_exponent(case, truth, case.seeds, fit, resampling, rng) for rng in generators]
        intervals = {"runs": [(each.value, each.low, each.high) for each in found]}
    return [
        {"case": case.name, "over": over, "seeds": case.seeds, "truth": known}
        | coverage(values, known, fit.confidence, "families")
        for over, values in intervals.items()
    ]


def _exponent(
    case: Case,
    truth: Truth,
    seeds: int,
    fit: Quanta,
    resampling: Resampling,
    rng: np.random.Generator,
) -> exponents.Exponent:
    if case.what == "S":
        first, last = fit.steps
        steps = np.arange(first, last + 1, EVERY, dtype=np.float64)
        curves = simulate.curves(truth, steps, seeds, rng)
        return exponents.by_steps(steps, curves, first, int(steps[-1]), resampling)
    sizes = np.repeat(WIDTHS if case.what == "N" else SIZES, seeds).astype(np.float64)
    if case.what == "N":
        losses = simulate.final_losses(truth, simulate.by_width(truth, sizes), rng)
        return exponents.by_parameters(sizes, losses, resampling)
    losses = simulate.final_losses(truth, simulate.by_samples(truth, sizes, rng), rng)
    return exponents.by_samples(sizes, losses, fit.samples_below, resampling)
