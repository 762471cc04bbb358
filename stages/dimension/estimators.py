"""Intrinsic dimension from nearest neighbours: the measured side of Figure 6's 4/alpha ~ d.

All estimators rest on one model: near a point the data fill a d-dimensional ball evenly. With
r_j the distance to the j-th neighbour, d log(r_k / r_j) for j < k are then the order statistics
of k - 1 exponential variables of rate 1, whatever the density. From it come

- `twonn` (Facco et al. 2017): the slope of -log(1 - F) against log(r_2 / r_1) through the origin,
  F the empirical distribution, the largest ratios discarded;
- `ratio` (Sharma & Kaplan, ID.py of github.com/U-Sharma/NeuralScaleID; k = 2, 3 and 4): log(r_k /
  r_1) is the largest of k - 1 exponentials, so F = (1 - (r_k / r_1)^-d)^(k - 1); the slope of
  -log(1 - F^(1 / (k - 1))) against it, with an intercept, the largest ratios discarded;
- `likelihood` (Levina & Bickel 2005, corrected by MacKay & Ghahramani 2005): with m points,
  d = m (k - 1) / sum_i sum_(j<k) log(r_k / r_j), the maximum of the joint likelihood. The factor
  k - 1 makes the mean of the points' inverses unbiased (k - 2 that of the estimates); k = 2 is
  TwoNN's likelihood. Sharma & Kaplan's code lacks a factor k - 1 of log r_k, and is not followed.

What to expect: at d near 17 no density is even across a neighbourhood of 10,000 points, and all
read low, more so with more neighbours and fewer points. So the same is measured on Gaussian and
uniform data of known dimension (known.py). Results are never corrected. Activations behind a ReLU
are a union of pieces, one for each set of live units: the estimate is an average over them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.base import workers
from stages.base.params import Dimension
from stages.base.workers import Apply
from stages.dimension.neighbours import Floats, log_distances
from stages.statistics.intervals import scatter_margin

Name = Literal["twonn", "ratio", "likelihood"]
Status = Literal["ok", "no interval", "tied", "too few", "constant", "not finite"]
"""`ok`; `no interval`: too few points for the blocks that it comes from; and, without a number,
`tied`: neighbours equally far, which no dimension explains; `too few` points for the neighbours;
`constant`: all points are the same; `not finite`: a NaN or an infinity among them."""

IMPOSSIBLE = 2
"""A dimension of more than so many times the coordinates comes of ties, not of scatter."""


@dataclass(frozen=True)
class Estimator:
    """One way to read the dimension off the distances to the first `neighbours` neighbours."""

    name: Name
    neighbours: int

    @property
    def label(self) -> str:
        """What a table or a metric calls it."""
        return self.name if self.name == "twonn" else f"{self.name}_{self.neighbours}"

    def __call__(self, log_distances: Floats, discard: float) -> float:
        """The dimension, infinite or NaN where ties leave none.

        `log_distances`, (points, neighbours or more), holds log r_1, log r_2, ...
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.name == "likelihood":
                logs = log_distances[:, : self.neighbours]
                return float(1 / (logs[:, -1:] - logs[:, :-1]).mean())
            spread = log_distances[:, self.neighbours - 1] - log_distances[:, 0]
            x, y = _quantiles(spread, self.neighbours - 1, discard)
            if self.name == "ratio":
                x, y = x - x.mean(), y - y.mean()
            return float(np.dot(x, y) / np.dot(x, x))


def _quantiles(spread: Floats, exponentials: int, discard: float) -> tuple[Floats, Floats]:
    """The sorted values, and where the largest of so many exponentials would have them."""
    kept = int(len(spread) * (1 - discard))
    share = np.arange(1, kept + 1) / len(spread)
    return np.sort(spread)[:kept], -np.log(1 - share ** (1 / exponentials))


def estimators(settings: Dimension) -> list[Estimator]:
    """List the estimators that params.yaml asks for: TwoNN, the ratios, the likelihoods."""
    return [
        Estimator("twonn", 2),
        *(Estimator("ratio", k) for k in settings.ratio_neighbours),
        *(Estimator("likelihood", k) for k in settings.likelihood_neighbours),
    ]


@dataclass(frozen=True)
class Estimate:
    """A dimension measured on blocks of points, the mean over the blocks.

    The interval is by subsampling (Politis & Romano 1994): the spread of the logarithm over the
    most blocks, divided by the root of their number. It covers the estimate's scatter, with the
    overlap of neighbourhoods (1.1 to 1.4 times the scatter of independent ratios, which exact
    formulas assume), and not its bias. Of intervals of 95% at 10,000 points, 92 to 97% covered
    the estimator's own mean on a torus of d = 2, and 83 to 100%, with a median of 93%, on a
    Gaussian and a cube of d = 17.
    """

    estimator: Name
    neighbours: int
    blocks: int
    samples: int  # distinct points in a block
    duplicates: int  # points that equal an earlier one: left out
    coordinates: int  # that are not the same at all points
    status: Status
    dimension: float
    low: float
    high: float


def measure(points: ArrayLike, settings: Dimension, apply: Apply = map) -> list[Estimate]:
    """The dimension of `points`, (m, p), by every estimator, at every number of blocks.

    The blocks are disjoint and drawn at random from `settings.seed`. Each estimate comes from all
    the points, so that one relative interval serves them all. `apply` is as in `log_distances`.

    Raises:
        ValueError: `points` is not a table of numbers with two axes.
    """
    cloud = _cloud(np.asarray(points), settings.seed)
    distinct, coordinates = cloud.points.shape
    usable: dict[int, list[Estimator]] = {}
    for blocks in sorted(settings.blocks, reverse=True):
        able = [e for e in estimators(settings) if e.neighbours < distinct // blocks]
        usable[blocks] = [] if cloud.fault else able
    most = {n: max(e.neighbours for e in able) for n, able in usable.items() if able}
    logs = log_distances(cloud.points, most, apply) if most else {}
    found: list[Estimate] = []
    margins: dict[Estimator, float] = {}
    for blocks, able in usable.items():
        for estimator in estimators(settings):
            each = logs[blocks] if estimator in able else ()
            values = np.array([estimator(log, settings.discard) for log in each])
            margin = margins.setdefault(estimator, _margin(values, settings.confidence))
            status, value = _outcome(values, margin, IMPOSSIBLE * coordinates)
            found.append(
                Estimate(
                    estimator=estimator.name,
                    neighbours=estimator.neighbours,
                    blocks=blocks,
                    samples=distinct // blocks,
                    duplicates=cloud.duplicates,
                    coordinates=coordinates,
                    status=cloud.fault or status,
                    dimension=value,
                    low=value * math.exp(-margin),
                    high=value * math.exp(margin),
                )
            )
    return found


def _outcome(values: Floats, margin: float, most: int) -> tuple[Status, float]:
    if not len(values):
        return "too few", math.nan
    value = float(values.mean())
    if not 0 < value < most:
        return "tied", math.nan
    return ("ok" if math.isfinite(margin) else "no interval"), value


def measure_each(
    sets: Sequence[Callable[[], ArrayLike]], settings: Dimension
) -> list[list[Estimate]]:
    """`measure` many sets of points side by side, each made and measured on one core.

    No set is kept, and none depends on how many cores there are.
    """
    with workers.threads() as apply:
        return list(apply(lambda points: measure(points(), settings), sets))


@dataclass(frozen=True)
class _Cloud:
    """Distinct points in random order, centred and scaled, in the coordinates that vary."""

    points: Floats
    duplicates: int
    fault: Literal["constant", "not finite"] | None


def _cloud(raw: NDArray[np.generic], seed: int) -> _Cloud:
    if raw.ndim != 2 or raw.dtype.kind not in "biuf":
        raise ValueError(f"points must be numbers of shape (m, p), not {raw.dtype} {raw.shape}")
    if not np.isfinite(raw).all():
        return _Cloud(np.empty((0, raw.shape[1])), 0, "not finite")
    varies = (raw != raw[:1]).any(axis=0)
    points = np.array(raw if varies.all() else raw[:, varies], np.float64, order="C")
    if points.size:
        points /= max(points.max(), -points.min())
        points -= np.median(points[:255], axis=0)  # any centre would do: this one no outlier moves
        points += 0.0  # -0.0, which has other bytes, becomes 0.0
    first: dict[bytes, int] = {}
    for row, point in enumerate(points):
        first.setdefault(blake2b(point, digest_size=16).digest(), row)
    distinct = np.random.default_rng(seed).permutation(np.array([*first.values()], np.int64))
    fault: Literal["constant"] | None = "constant" if len(distinct) == 1 < len(points) else None
    return _Cloud(points[distinct], len(points) - len(distinct), fault)


def _margin(values: Floats, confidence: float) -> float:
    """Half the interval of the logarithm of the mean of `values`; NaN where they give none."""
    if len(values) < 2 or not ((values > 0) & np.isfinite(values)).all():
        return math.nan
    return scatter_margin(np.log(values), confidence)
