"""When tasks are learned: Michaud et al. (2023), Figure 7, and its law of learning times.

A task is learned at the step from which on its loss stays under a threshold. One that never does
within the run is censored: its learning time is known to lie beyond the last step, and is used as
just that. One that does is known to have been learned between two evaluations.

The law ln T = a + b ln p + sigma e, with T the learning time, p the task's frequency and e a
standard normal deviate, is fitted by maximum likelihood to all tasks of all seeds. Leaving out the
censored ones would bias b towards 0, because those rare tasks that are learned are the early ones.
Theory says b = -1.
"""

from dataclasses import dataclass, replace
from math import nan

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

Floats = npt.NDArray[np.float64]

OK = "ok"
MIN_TASKS = 3
"""Learned tasks of different frequency that a law needs: two always lie on a line."""
_MAX_PRECISION = 1e4
"""Of 1 / sigma: no scatter is smaller than a run's last digits."""


@dataclass(frozen=True)
class Fall:
    """How losses fall through a threshold t for good, from under ln 2 - t.

    All in optimizer steps; NaN where it did not happen. Shapes are those of the losses, less the
    last axis.
    """

    began: Floats  # the last evaluation with a loss of at least ln 2 - t before it was learned
    first: Floats  # the first evaluation with a loss under t
    before: Floats  # the last evaluation with a loss of at least t; 0 if there is none
    learned: Floats  # the evaluation after that

    @property
    def factor(self) -> Floats:
        """By how much the steps grow while the loss falls: the nearer to 1, the sharper."""
        factor: Floats = self.learned / self.began
        return factor


def fall(steps: npt.ArrayLike, losses: npt.ArrayLike, threshold: float) -> Fall:
    """When losses (..., evaluations), after `steps` (evaluations,), fall under `threshold`.

    Losses and threshold have the same unit, nats.
    """
    steps, losses = np.asarray(steps, np.float64), np.asarray(losses, np.float64)
    under = losses < threshold
    before = _last(steps, ~under)
    learned = np.where(under[..., -1], _first(steps, steps > before[..., None]), nan)
    high = (losses >= np.log(2) - threshold) & ~(steps >= learned[..., None])
    began = _last(steps, high)
    return Fall(np.where(began > 0, began, nan), _first(steps, under), before, learned)


def _last(steps: Floats, where: npt.NDArray[np.bool_]) -> Floats:
    last: Floats = np.max(np.where(where, steps, 0.0), axis=-1)
    return last


def _first(steps: Floats, where: npt.NDArray[np.bool_]) -> Floats:
    first = np.min(np.where(where, steps, np.inf), axis=-1)
    return np.where(np.isfinite(first), first, nan)


@dataclass(frozen=True)
class Times:
    """Learning times to fit, one for each task of each run."""

    seed: npt.NDArray[np.int64]
    frequency: Floats
    after: Floats  # the step after which it was learned: 0 or more
    by: Floats  # the step by which it was learned; infinity where censored

    @property
    def censored(self) -> npt.NDArray[np.bool_]:
        """Which were never learned within the run."""
        return np.isinf(self.by)


@dataclass(frozen=True)
class Law:
    """T = time p^slope, with the scatter sigma of ln T. NaN where it cannot be had."""

    status: str
    slope: float = nan
    slope_low: float = nan
    slope_high: float = nan
    time: float = nan
    sigma: float = nan
    seeds: int = 0
    learned: int = 0
    censored: int = 0


def law(times: Times, confidence: float) -> Law:
    """Fit the law of learning times; the interval of its slope is over seeds.

    Seeds are left out one at a time and the law fitted anew (the jackknife), and Student's t with
    seeds - 1 degrees of freedom makes the interval: runs are independent, their tasks are not,
    and with a handful of runs a bootstrap's percentiles would be too narrow.
    """
    seeds = np.unique(times.seed)
    censored = int(np.count_nonzero(times.censored))
    counted = Law(OK, seeds=len(seeds), learned=len(times.by) - censored, censored=censored)
    fitted = _maximum(times)
    if isinstance(fitted, str):
        return replace(counted, status=fitted)
    a, b, sigma = fitted
    found = replace(counted, slope=b, time=float(np.exp(a)), sigma=sigma)
    if len(seeds) < 2:
        return replace(found, status="no interval: one seed")
    left: list[float] = []
    for seed in seeds:
        rest = _maximum(_without(times, seed))
        if isinstance(rest, str):
            return replace(found, status=f"no interval: without seed {seed}, {rest}")
        left.append(rest[1])
    n = len(seeds)
    error = np.sqrt((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * error)
    return replace(found, slope_low=b - half, slope_high=b + half)


def _without(times: Times, seed: int) -> Times:
    kept = times.seed != seed
    return Times(times.seed[kept], times.frequency[kept], times.after[kept], times.by[kept])


def _maximum(times: Times) -> tuple[float, float, float] | str:
    """a, b and sigma of the largest likelihood, or why there are none."""
    tasks = len(np.unique(times.frequency[~times.censored]))
    if tasks < MIN_TASKS:
        return f"too few learned tasks: {tasks} of at least {MIN_TASKS}"
    x, learned = np.log(times.frequency), ~times.censored
    with np.errstate(divide="ignore"):
        low, high = np.log(times.after), np.log(times.by)
    middle_x, middle = x[learned].mean(), high[learned].mean()
    likelihood = _Likelihood(x - middle_x, low - middle, high - middle)
    b, a = np.polyfit(likelihood.x[learned], likelihood.high[learned], 1)
    residual = likelihood.high[learned] - a - b * likelihood.x[learned]
    precision = 1 / max(float(np.std(residual)), 0.01)
    found = optimize.minimize(
        likelihood.negative,
        np.array([precision, a * precision, b * precision]),
        jac=likelihood.gradient,
        hess=likelihood.hessian,
        method="trust-exact",
        options={"maxiter": 1000, "gtol": 1e-8},
    )
    precision, a, b = found.x
    left = found.jac @ np.linalg.solve(found.hess, found.jac)  # twice what one more step would gain
    if not (left < 1e-8 and 0 < precision < _MAX_PRECISION):
        return "no maximum of the likelihood was found"
    a, b = a / precision, b / precision
    return float(a + middle - b * middle_x), float(b), float(1 / precision)


class _Likelihood:
    """Of normal deviates known to lie in intervals, as a function of (1, a, b) / sigma.

    In these parameters its logarithm is concave (Olsen 1978, Econometrica 46, 1211-1215): there
    is one maximum, and any start will do.
    """

    def __init__(self, x: Floats, low: Floats, high: Floats) -> None:
        self.x, self.low, self.high = x, low, high
        rest = np.stack([-np.ones_like(x), -x])
        self._of_low, self._of_high = (  # gradients of the standardised ends
            np.vstack([np.where(np.isfinite(end), end, 0.0), rest]) for end in (low, high)
        )

    def _ends(self, parameters: Floats) -> tuple[Floats, Floats]:
        precision, a, b = parameters
        return precision * self.low - a - b * self.x, precision * self.high - a - b * self.x

    def negative(self, parameters: Floats) -> float:
        if parameters[0] <= 0:
            return np.inf
        return -float(_log_mass(*self._ends(parameters)).sum())

    def gradient(self, parameters: Floats) -> Floats:
        low, high = _densities(*self._ends(parameters))
        gradient: Floats = self._of_low @ low - self._of_high @ high
        return gradient

    def hessian(self, parameters: Floats) -> Floats:
        ends = self._ends(parameters)
        low, high = _densities(*ends)
        of_low, of_high = self._of_low, self._of_high
        slope = high * of_high - low * of_low
        bend_low, bend_high = (
            np.where(np.isfinite(end), end, 0.0) * density
            for end, density in zip(ends, (low, high), strict=True)
        )
        hessian: Floats = (
            slope @ slope.T + (bend_high * of_high) @ of_high.T - (bend_low * of_low) @ of_low.T
        )
        return hessian


def _log_mass(low: Floats, high: Floats) -> Floats:
    """Log of the standard normal's mass between two ends."""
    # On the far side the mass would be a difference of numbers next to 1: look from the other.
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    log_low, log_high = special.log_ndtr(low), special.log_ndtr(high)
    log_mass: Floats = log_high + np.log1p(-np.exp(log_low - log_high))
    return log_mass


def _densities(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The density at either end over the mass between them."""
    log_mass = _log_mass(low, high) + 0.5 * np.log(2 * np.pi)
    return np.exp(-0.5 * low**2 - log_mass), np.exp(-0.5 * high**2 - log_mass)
