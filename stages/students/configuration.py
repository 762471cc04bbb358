"""What a run of students depends on: the teachers, the loss, the networks and the schedule.

Sharma & Kaplan (2022): students of random teachers, where the dimension d of the data is known.
A teacher is a random network of which only the first d inputs count, or a sum of such networks,
each with d inputs of its own (a product of manifolds). Students learn it from samples that are
never repeated. The defaults are those of the authors' released code.
"""

from dataclasses import dataclass
from typing import Literal

AHEAD = 8192
"""Samples of a teacher that are drawn at once, for as many steps as they make."""


@dataclass(frozen=True)
class Phase:
    """Steps of one batch size and learning rate."""

    steps: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class Configuration:
    """Students of every width and seed, and their teachers.

    Attributes:
        dimension: d, the inputs that a teacher's network depends on.
        loss: `kl`, from the teacher's softmax over two outputs, or the p of the mean |error|^p.
        widths: units of each of a student's two hidden layers.
        teachers, seeds: how many of each: numbers 0, 1, ...
        phases: one after the other; Adam's moments are kept from one to the next.
        evaluations: how many there are in each phase, evenly spaced, the last at its end.
        evaluation_samples: of a teacher, fresh ones in each evaluation.
        factors: networks whose sum a teacher is, of d inputs each.
        inputs: of a teacher's network and of a student.
        inputs_seen: whether students see all inputs, or only those that count: the others are 0.
        hidden: units of each of a teacher's two hidden layers.
        scale: what a teacher's outputs are multiplied by.
        precision: of training: the authors' is double. Losses are evaluated in float64.
    """

    dimension: int
    loss: Literal["kl"] | float
    widths: tuple[int, ...]
    teachers: int
    seeds: int
    phases: tuple[Phase, ...]
    evaluations: int
    evaluation_samples: int = 10_000
    factors: int = 1
    inputs: int = 20
    inputs_seen: Literal["all", "relevant"] = "all"
    hidden: int = 600
    scale: float = 6.0
    precision: Literal["float32", "float64"] = "float64"

    @property
    def seen(self) -> int:
        """The inputs of a student that are not always 0: the first so many."""
        return self.inputs if self.inputs_seen == "all" else self.dimension * self.factors

    @property
    def outputs(self) -> int:
        """Of a teacher and of a student."""
        return 2 if self.loss == "kl" else 1

    @property
    def exponent(self) -> float:
        """The p of |error|^p; 0 for the divergence."""
        return 0.0 if self.loss == "kl" else float(self.loss)

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def ahead(self, phase: Phase) -> int:
        """Steps whose samples are drawn at once; evaluations come after a multiple of them."""
        between = phase.steps // self.evaluations
        most = min(between, max(1, AHEAD // phase.batch_size))
        return max(steps for steps in range(1, most + 1) if between % steps == 0)

    def evaluated(self) -> list[tuple[int, int]]:
        """The phase, from 1, and the steps taken in all phases, of each evaluation."""
        found, before = [], 0
        for number, phase in enumerate(self.phases, 1):
            between = phase.steps // self.evaluations
            found += [(number, before + i * between) for i in range(1, self.evaluations + 1)]
            before += phase.steps
        return found

    def parameters(self, width: int, inputs: int | None = None) -> int:
        """N, the trained parameters of a student: n^2 + 23 n + 1 with 20 inputs and one output.

        `inputs` are all of them, unless told: those that are always 0 leave their weights alone.
        """
        layers = (self.inputs if inputs is None else inputs) + 1, width + 1
        return (sum(layers)) * width + (width + 1) * self.outputs
