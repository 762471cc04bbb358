"""Whether a published number is reproduced, by a rule that knows nothing of either number.

The rule is an equivalence test with three outcomes. A published value v and a relative tolerance t
make a band, v (1 - t) to v (1 + t); a published range is widened by t at either end. Then, of the
interval of our estimate:

- it lies within the band: `reproduced`;
- it lies wholly outside, with no point in common: `not reproduced`;
- it crosses an end of the band, or there is no sound interval: `cannot be told`.

So the two definite outcomes need the same strength of evidence, and a wide interval or a missing
number earns neither: an interval that merely holds v proves no agreement. (Schuirmann 1987; in
Bayesian form Kruschke 2018, the region of practical equivalence.) What the tolerance has to do
with the outcome is given beside it: `agrees_from`, the smallest tolerance at which it reads
`reproduced`, and `differs_below`, under which it reads `not reproduced`.
"""

import math
from dataclasses import dataclass
from typing import Literal

from stages.statistics.estimate import Estimate

Outcome = Literal["reproduced", "not reproduced", "cannot be told"]
OUTCOMES: tuple[Outcome, ...] = ("reproduced", "not reproduced", "cannot be told")
RULE = "rule"
"""The `choice` of the row that the rule in params.yaml names; the others vary one thing of it."""


@dataclass(frozen=True)
class Target:
    """What is to be reproduced: a value (`low` and `high` the same) or a range; positive."""

    low: float
    high: float

    def band(self, tolerance: float) -> tuple[float, float]:
        """What agrees with it."""
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
        return "cannot be told"
    low, high = target.band(tolerance)
    if low <= estimate.low and estimate.high <= high:
        return "reproduced"
    if estimate.high < low or high < estimate.low:
        return "not reproduced"
    return "cannot be told"
