"""Which networks a parity configuration trains, and when each is evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from stages.base.params import ParityConfiguration


@dataclass(frozen=True)
class Run:
    """One network in training; `samples` of 0 means fresh ones without end."""

    width: int
    samples: int
    seed: int


@dataclass(frozen=True)
class Family:
    """Runs that are trained alike, one for each width, size of the training set and seed."""

    widths: Sequence[int]
    samples: Sequence[int]
    seeds: Sequence[int]
    steps: int
    evaluate_every: int

    @property
    def limited(self) -> bool:
        """Whether its runs have training sets."""
        return any(self.samples)

    @property
    def kind(self) -> str:
        """The word for it, once in each configuration."""
        return "limited" if self.limited else "fresh"

    @property
    def runs(self) -> list[Run]:
        """Its runs, by width, then size of the training set, then seed."""
        return [Run(*run) for run in product(self.widths, self.samples, self.seeds)]

    @property
    def evaluated(self) -> range:
        """The steps after which a run is evaluated."""
        return range(self.evaluate_every, self.steps + 1, self.evaluate_every)

    def __str__(self) -> str:
        """What it is, for people to read."""
        width = "width" if len(self.widths) == 1 else f"{len(self.widths)} widths"
        widths = " to ".join(str(w) for w in sorted({min(self.widths), max(self.widths)}))
        if not self.limited:
            return f"{width} {widths}, fresh samples"
        sizes = " to ".join(f"{s:,}" for s in sorted({min(self.samples), max(self.samples)}))
        return f"{width} {widths}, training sets of {sizes} samples"


def families(configuration: ParityConfiguration) -> list[Family]:
    """All runs: those on fresh samples, then those on fixed training sets."""
    c, seeds = configuration, range(configuration.seeds)
    families = [Family(c.widths, [0], seeds, c.steps, c.evaluate_every)]
    if d := c.data_limited:
        families.append(Family(d.widths, d.samples, seeds, d.steps, d.evaluate_every))
    return families


def curve_steps(configuration: ParityConfiguration) -> list[int]:
    """Evaluated steps, about evenly spaced in their logarithm, that keep every task's loss.

    At most `task_curves`, fewer where two would fall on one evaluation. Those of the widest
    networks on fresh samples are kept.
    """
    c = configuration
    evaluations, last = c.steps // c.evaluate_every, c.task_curves - 1
    places = {round(evaluations ** (i / last)) for i in range(last)} if last > 0 else set()
    if c.task_curves:
        places.add(evaluations)
    return [place * c.evaluate_every for place in sorted(places)]


def parameters(configuration: ParityConfiguration, width: int) -> int:
    """N, the number of trained parameters: 603 width + 2 for the paper's problem."""
    c = configuration
    return (c.tasks + c.bits + 1) * width + (width + 1) * c.logits
