"""Whether ours is the published number, by an equivalence test that knows neither.

A published value v and a relative tolerance t make a band, v (1 - t) to v (1 + t); a published
range is widened by t at either end, as its ends are no sharper than a value is. Then, of the
interval of our estimate:

- it lies within the band: `equivalent`;
- it lies wholly outside, with no point in common: `different`;
- it crosses an end of the band, or there is no sound interval: `undecided`.

So the two definite outcomes need the same strength of evidence, and a wide interval or a missing
number earns neither: an interval that merely holds v proves no agreement. Each errs in at most half
of the cases that the interval misses, 2.5% for one of 95%: they are two one-sided tests (Schuirmann
1987; in Bayesian form Kruschke 2018, the region of practical equivalence).

What the tolerance has to do with the outcome is given beside it: `agrees_from`, the smallest
tolerance at which it reads `equivalent`, and `differs_below`, under which it reads `different`. And
of an undecided one `would_tell` says what would decide it.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import ndtri

from stages.statistics.estimate import Estimate
from stages.statistics.intervals import student_margin

Outcome = Literal["equivalent", "different", "undecided"]
OUTCOMES: tuple[Outcome, ...] = ("equivalent", "different", "undecided")
RULE = "rule"
"""The `choice` of the row that the rule in params.yaml names; the others vary one thing of it."""
POWER = 0.8
"""How often as many runs as are called for decide, if the truth is where our estimate is."""
MOST = 1000  # runs, above which no number is given: the estimate then lies at an end of the band


@dataclass(frozen=True)
class Target:
    """What is to be reproduced: a value (`low` and `high` the same) or a range; positive."""

    low: float
    high: float

    def band(self, tolerance: float) -> tuple[float, float]:
        """The least and the most that agree with the target, to a tolerance."""
        return self.low * (1 - tolerance), self.high * (1 + tolerance)

    def agrees_from(self, estimate: Estimate) -> float:
        """The smallest tolerance at which `estimate` reproduces it; NaN for no sound estimate."""
        if not estimate.sound:
            return math.nan
        return max(1 - estimate.low / self.low, estimate.high / self.high - 1, 0.0)

    def differs_below(self, estimate: Estimate) -> float:
        """The tolerance under which `estimate` does not; 0 where no tolerance makes it so."""
        if not estimate.sound:
            return math.nan
        return max(1 - estimate.high / self.low, estimate.low / self.high - 1, 0.0)


def judge(estimate: Estimate, target: Target, tolerance: float) -> Outcome:
    """The outcome, by the rule above; ends that touch count as in common."""
    if not estimate.sound:
        return "undecided"
    low, high = target.band(tolerance)
    if low <= estimate.low and estimate.high <= high:
        return "equivalent"
    if estimate.high < low or high < estimate.low:
        return "different"
    return "undecided"


def runs_needed(estimate: Estimate, target: Target, tolerance: float, confidence: float) -> float:
    """How many runs of each group decide with a probability of `POWER`, if the truth is where our
    estimate is and more runs narrow its interval as Student's; about, therefore.

    NaN where more runs cannot be had; infinite above `MOST`.
    """
    if not estimate.sound or estimate.runs < 2:
        return math.nan
    (low, high), value = target.band(tolerance), estimate.value
    below, above = value - estimate.low, estimate.high - value
    rooms = [(value - low, below), (high - value, above)]
    if not low <= value <= high:
        rooms = [(low - value, above)] if value < low else [(value - high, below)]
    if any(room <= 0 for room, _ in rooms):
        return math.inf

    def margin(runs: int) -> float:
        """Half an interval, in standard errors."""
        return student_margin(1.0, estimate.groups * (runs - 1), confidence)

    # in units of the standard error that one run would have
    now = margin(estimate.runs) / math.sqrt(estimate.runs)
    worst = max(half / room for room, half in rooms) / now

    def decides(runs: int) -> bool:
        return worst * (margin(runs) + float(ndtri(POWER))) <= math.sqrt(runs)

    return next((float(runs) for runs in range(2, MOST + 1) if decides(runs)), math.inf)


def compared(
    estimate: Estimate, target: Target, tolerance: float, confidence: float, lacking: str = ""
) -> dict[str, Any]:
    """The columns of one comparison.

    Beside the outcome and what was said of the tolerance: `over`, what the interval is over;
    `runs`, how many there are of each width or size; and where it is undecided `runs_needed` and
    `would_tell`, which is `lacking` where more runs would not.
    """
    outcome = judge(estimate, target, tolerance)
    needed, tells = math.nan, ""
    if outcome == "undecided":
        needed = runs_needed(estimate, target, tolerance, confidence)
        tells = _tells(estimate, needed, lacking)
    return {
        "published_low": target.low,
        "published_high": target.high,
        "tolerance": tolerance,
        "ours": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "outcome": outcome,
        "agrees_from": target.agrees_from(estimate),
        "differs_below": target.differs_below(estimate),
        "over": estimate.over,
        "runs": estimate.runs or math.nan,
        "runs_needed": needed,
        "would_tell": tells,
        "status": estimate.status,
    }


def _tells(estimate: Estimate, needed: float, lacking: str) -> str:
    if not estimate.sound:
        return "a sound interval"
    if math.isnan(needed):
        return lacking
    if math.isinf(needed):
        return f"more than {MOST:,} {estimate.over}: it lies at an end of the band"
    return f"about {needed:.0f} {estimate.over} instead of {estimate.runs}"
