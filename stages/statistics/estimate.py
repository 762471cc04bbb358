"""A number with its interval, or why there is none."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.statistics.intervals import scatter_margin

OK = "ok"
MEASURED = (OK, "no interval")
"""The statuses of a dimension that there is."""
FEW = 3  # networks or teachers, under which their scatter gives no interval


class Estimate(NamedTuple):
    """A number of ours, its interval, and `ok` or why there is none.

    `over` says what the interval is over, such as seeds; where more of these can be had, `runs` is
    how many there are of each of `groups` (widths, say).
    """

    value: float
    low: float
    high: float
    status: str = OK
    over: str = ""
    runs: int = 0
    groups: int = 1

    @property
    def sound(self) -> bool:
        """Whether there is an interval to judge by."""
        finite = all(map(math.isfinite, [self.value, self.low, self.high]))
        return self.status == OK and finite and self.low <= self.high

    def divided_by(self, other: "Estimate") -> "Estimate":
        """The quotient of two positive numbers; its interval holds all quotients of the two."""
        for each in (self, other):
            if not each.sound or each.low <= 0:
                return missing(each.status if each.status != OK else "no positive interval")
        return Estimate(self.value / other.value, self.low / other.high, self.high / other.low)


def missing(status: str) -> Estimate:
    """An estimate without a number, whose status says why."""
    return Estimate(math.nan, math.nan, math.nan, status)


def geometric(mean: float, margin: float, over: str) -> Estimate:
    """A geometric mean, of the mean of logarithms and half its interval."""
    low, high = math.exp(mean - margin), math.exp(mean + margin)
    return Estimate(math.exp(mean), low, high, over=over)


def over_networks(
    values: list[float], statuses: list[str], confidence: float, each: str = "network"
) -> Estimate:
    """The geometric mean of the dimensions of several networks, or of what else is in `each`.

    Its interval is Student's, from the scatter of the logarithm between networks. That is some
    times the scatter within one, which says how well a network is measured, not what another of
    the same training would have had.
    """
    if fault := _fault(values, statuses, len(values), each):
        return missing(fault)
    logs = np.log(values)
    margin = scatter_margin(logs, confidence)
    return geometric(float(logs.mean()), margin, f"{each}s")._replace(runs=len(logs))


def over_seeds(
    values: NDArray[np.float64], statuses: list[str], confidence: float
) -> dict[str, Estimate]:
    """The geometric mean of the dimensions of networks, (seeds, widths), both two or more.

    By what its interval holds, in logarithms:

    - `seeds`: other seeds at these widths. Each seed is an independent replicate of the whole
      curve, so this is Student's interval of the seeds' means over the widths, whatever networks of
      one seed have in common.
    - `widths`: other widths, as `over_networks` has it of one seed, of the widths' means over the
      seeds. The widths are a fixed design, of which `seeds` says all. But a published dimension is
      of networks of unstated widths, and readings differ between widths.
    - `both`: the root of the sum of the squares of these two margins. The variance of a mean over
      seeds and widths is the sum of what seeds have in common, what widths have, and what is of
      single networks; each of the two margins holds one of the first two, and the last, which so
      counts twice: that errs on the wide side. The wider of the two lacks the other, and in
      simulation holds the truth less often than it says.
    """
    flat = values.ravel().tolist()
    if fault := _fault(flat, statuses, values.shape[1], "network"):
        return dict.fromkeys(["both", "widths", "seeds"], missing(fault))
    logs = np.log(values)
    widths, seeds = (scatter_margin(logs.mean(axis), confidence) for axis in (0, 1))
    margins = {"both": math.hypot(widths, seeds), "widths": widths, "seeds": seeds}
    overs = {"both": "widths and seeds"}
    return {
        name: geometric(float(logs.mean()), margin, overs.get(name, name))
        for name, margin in margins.items()
    }


def _fault(values: list[float], statuses: list[str], groups: int, each: str) -> str:
    """Why some dimensions, in so many groups, give no mean; empty if they do."""
    if groups < FEW:
        return f"fewer than {FEW} {each}s"
    if faults := [status for status in statuses if status not in MEASURED]:
        return f"a {each} without a dimension: {faults[0]}"
    if not all(math.isfinite(value) and value > 0 for value in values):
        return f"a {each} without a dimension"
    return ""
