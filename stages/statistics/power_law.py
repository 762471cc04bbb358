"""Power laws value = amplitude * N^slope with intervals: the fits of Sharma & Kaplan's Figure 6.

The line is fitted to the natural logs of value and N by quantile regression. `alpha` is the rate
at which a network improves with its size: -slope for a loss or an error, +slope for an accuracy.
4/alpha estimates the dimension of the data manifold where the value is a loss; for the other
metrics it is what the replication notebook prints too, and no more than a number to compare.

A fit that cannot be made gives no numbers, and a status that says why.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import astuple, dataclass
from functools import cached_property
from math import inf, nan
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.statistics import bootstrap, quantile
from stages.statistics.bootstrap import Resampling
from stages.statistics.estimate import OK, Estimate

Key = TypeVar("Key", bound=Hashable)

MIN_WIDTHS = 3  # two widths always lie on a line: three are the fewest that say anything about one


@dataclass(frozen=True)
class Request:
    """One fit to a sample: a quantile of the values, over widths first..last."""

    quantile: float
    first: int
    last: int


@dataclass(frozen=True)
class Law:
    """A fitted power law. Numbers that could not be had are NaN; `status` says why.

    `alpha_low` to `alpha_high` is the interval of alpha. The one of 4/alpha is open upwards
    (`dimension_high` is NaN) where alpha may be 0. `flat` is by how much the slopes differ that
    fit as well; where it is not 0, the line given is midway between them. `alpha_sklearn` is that
    of `statistics.second`, where it is made. `irreducible` is E of `statistics.irreducible`, in
    units of the value, with its interval; of a law with it `slope` is NaN and `amplitude` A.
    """

    status: str
    slope: float = nan
    amplitude: float = nan
    alpha: float = nan
    alpha_low: float = nan
    alpha_high: float = nan
    flat: float = nan
    alpha_sklearn: float = nan
    width_count: int = 0
    runs: int = 0
    rows: int = 0
    irreducible: float = nan
    irreducible_low: float = nan
    irreducible_high: float = nan

    @property
    def dimension(self) -> float:
        """4/alpha of the law; NaN unless alpha is positive."""
        return dimension(self.alpha)

    @property
    def dimension_low(self) -> float:
        """Lower end of the interval of 4/alpha."""
        return dimension(self.alpha_high) if self.alpha > 0 else nan

    @property
    def dimension_high(self) -> float:
        """Upper end of the interval of 4/alpha; NaN if there is none."""
        return dimension(self.alpha_low) if self.alpha > 0 else nan

    @property
    def estimate(self) -> Estimate:
        """4/alpha and its interval."""
        return Estimate(self.dimension, self.dimension_low, self.dimension_high, self.status)


@dataclass(frozen=True)
class Sample:
    """Values to fit: one row per run, or several (epochs) of the same run.

    A run's rows are resampled together, within the runs of its width.
    """

    width: NDArray[np.int64]  # (rows,)
    parameters: NDArray[np.float64]  # (rows,) N, the same for all rows of a width
    value: NDArray[np.float64]  # (rows,)
    run: NDArray[np.int64]  # (rows,) from 0 to runs - 1
    grows: bool  # whether a larger value is better

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Which values have a logarithm."""
        return np.isfinite(self.value) & (self.value > 0)

    @cached_property
    def width_of_run(self) -> NDArray[np.int64]:
        """The width of each run, (runs,)."""
        width = np.zeros(self.run.max() + 1, np.int64)
        width[self.run] = self.width
        return width

    def inside(self, first: int, last: int) -> NDArray[np.bool_]:
        """Which rows belong to widths first..last."""
        return (self.width >= first) & (self.width <= last)

    def flaw(self, inside: NDArray[np.bool_], min_widths: int = MIN_WIDTHS) -> str:
        """Why no law can be fitted to some of the rows; empty if one can."""
        widths = len(np.unique(self.width[inside]))
        if widths < min_widths:
            return f"too few widths: {widths} of at least {min_widths}"
        unusable = np.count_nonzero(~self.usable[inside])
        if unusable:
            return f"{unusable} of {np.count_nonzero(inside)} values zero, negative or not finite"
        if np.ptp(self.value[inside]) == 0:
            return "all values are equal"
        return ""

    def size(self, inside: NDArray[np.bool_]) -> dict[str, int]:
        """How many widths, runs and rows there are among some of the rows."""
        counts = {"width_count": len(np.unique(self.width[inside]))}
        counts |= {"runs": len(np.unique(self.run[inside])), "rows": int(inside.sum())}
        return counts

    def interval_flaw(self, inside: NDArray[np.bool_]) -> tuple[bool, str]:
        """Whether there are runs enough for an interval, and what must be said of it."""
        runs = np.unique(self.width_of_run[np.unique(self.run[inside])], return_counts=True)[1]
        single = np.count_nonzero(runs == 1)
        if single == len(runs):
            return False, "no interval: one run per width"
        if single:
            return True, f"interval too narrow: one run at {single} of {len(runs)} widths"
        return True, ""


def dimension(alpha: float) -> float:
    """4/alpha; NaN unless alpha is positive."""
    return 4 / alpha if alpha > 0 else nan


def fit(sample: Sample, requests: Iterable[Request], resampling: Resampling) -> dict[Request, Law]:
    """Fit every request; they share the work of sorting and resampling."""
    inside = {request: sample.inside(request.first, request.last) for request in requests}
    flaws = {request: sample.flaw(rows) for request, rows in inside.items()}
    sound = [request for request, flaw in flaws.items() if not flaw]
    lines = _lines(sample, sound, resampling) if sound else {}
    return {
        request: _law(sample, rows, lines[request], resampling.confidence)
        if request in lines
        else Law(flaws[request], **sample.size(rows))
        for request, rows in inside.items()
    }


def over_ranges(
    sample: Sample,
    ranges: Mapping[Key, tuple[int, int]],
    quantile: float,
    resampling: Resampling,
) -> dict[Key, Law]:
    """A law over each of some ranges of widths, first and last, by their names."""
    requests = {name: Request(quantile, *ends) for name, ends in ranges.items()}
    laws = fit(sample, requests.values(), resampling)
    return {name: laws[request] for name, request in requests.items()}


def slope(x: ArrayLike, y: ArrayLike) -> float:
    """d ln y / d ln x by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _lines(
    sample: Sample, requests: list[Request], resampling: Resampling
) -> dict[Request, quantile.Lines]:
    """The lines of the sample itself and then of its resamples."""
    usable = sample.usable
    x, y = np.log(sample.parameters[usable]), np.log(sample.value[usable])
    rows = quantile.group(x, y, sample.run[usable])
    ends = {}
    for request in requests:
        inside = x[sample.inside(request.first, request.last)[usable]]
        ends[request] = inside.min(), inside.max()
    weights = bootstrap.weights(sample.width_of_run, resampling.resamples, resampling.seed)
    parts: dict[Request, list[quantile.Lines]] = {request: [] for request in requests}
    for weighted in quantile.chunks(rows, weights):
        for request, (low, high) in ends.items():
            parts[request].append(quantile.fit(weighted, request.quantile, low, high))
    return {
        request: quantile.Lines(*map(np.concatenate, zip(*map(astuple, part), strict=True)))
        for request, part in parts.items()
    }


def _law(
    sample: Sample, inside: NDArray[np.bool_], lines: quantile.Lines, confidence: float
) -> Law:
    alphas = lines.slope if sample.grows else -lines.slope
    alpha, (low, high) = float(alphas[0]), bootstrap.interval(alphas[1:], confidence)
    possible, remark = sample.interval_flaw(inside)
    if possible and high - low < 1e-9:  # rounding
        possible, remark = False, "no interval: no difference between runs"
    if not possible:
        low = high = nan
    flat = float(lines.flat[0])
    several = ""
    if flat > 1e-9 * abs(alpha):  # rounding
        ends = ", ".join(f"{alpha + sign * flat / 2:.4g}" for sign in (-1, 1))
        several = f"not unique: alpha between {ends} fits as well, their middle is given"
    law = float(lines.slope[0]), float(np.exp(lines.intercept[0]))
    said = status(alpha, low, remark, several)
    return Law(said, *law, alpha, low, high, flat, **sample.size(inside))


def status(alpha: float, low: float = inf, *remarks: str) -> str:
    """What must be said of a fit and of its 4/alpha; "ok" if nothing."""
    said = [remark for remark in remarks if remark]
    if alpha <= 0:
        said.append("no 4/alpha: alpha is not above 0")
    elif low <= 0:
        said.append("no upper bound on 4/alpha: alpha may be 0")
    return "; ".join(said) or OK
