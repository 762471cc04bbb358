"""A number with its interval, or why there is none."""

import math
from typing import NamedTuple

import numpy as np

from stages.statistics.intervals import scatter_margin

OK = "ok"
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
    if len(values) < FEW:
        return missing(f"fewer than {FEW} {each}s")
    for value, status in zip(values, statuses, strict=True):
        if status not in (OK, "no interval"):
            return missing(f"a {each} without a dimension: {status}")
        if not (math.isfinite(value) and value > 0):
            return missing(f"a {each} without a dimension")
    logs = np.log(values)
    margin = scatter_margin(logs, confidence)
    return geometric(float(logs.mean()), margin, f"{each}s")._replace(runs=len(logs))
