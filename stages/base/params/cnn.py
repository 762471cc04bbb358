"""Sections `cnn`, `studies` and `regime`: training protocols, of which networks and images."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from stages.base.params.fields import (
    NAME,
    Distinct,
    Name,
    Positive,
    PositiveReal,
    Real,
    Section,
    Widths,
    matching,
    rows_fit,
)


class Training(Section):
    """What every trained network has."""

    optimizer: Literal["adam", "adamw"]
    learning_rate: PositiveReal
    weight_decay: Annotated[Real, Field(ge=0)]
    batch_size: Annotated[int, Field(gt=0, le=2**24)]
    seeds: Annotated[int, Field(gt=0, le=10**4)]
    precision: Literal["tf32", "float32", "float16"]


InitialWeights = Literal["pytorch", "keras"]
"""Whose default distribution a network's weights are drawn from."""


Moment = Literal["last", "best"]
"""When a run's weights are kept: after its last epoch, or after that of its least validation loss,
the first of equals."""


class Snapshot(NamedTuple):
    """The weights of a run that are kept: which seed's, and those after which of its epochs."""

    seed: int = 0
    epochs: Moment = "last"

    @property
    def prefix(self) -> str:
        """What stands before the names of its tensors in a file: nothing for seed 0's last ones.

        It ends with a slash, which the names of a module's own tensors do not hold.
        """
        seed = f"seed{self.seed}/" if self.seed else ""
        return seed if self.epochs == "last" else f"{seed}{self.epochs}/"


FIRST = Snapshot()
"""What is kept of every sweep and study."""


class CnnSweep(Training):
    """One training protocol, run at every width with `seeds` seeds.

    Attributes:
        precision: of the products on NVIDIA GPUs; sums are float32, and CPUs compute in float32.
        weights_seeds: of how many seeds the weights after the last epoch are kept: 0, 1, ...
        best_weights: whether those of the same seeds after their best epoch are kept, too.
    """

    precision: Literal["float16", "tf32", "float32"]
    initial_weights: InitialWeights
    augment: bool
    augment_validation: bool
    evaluate_training: bool
    input_range: Annotated[list[Real], Field(min_length=2, max_length=2)]
    epochs: Positive
    weights_seeds: Positive = 1
    best_weights: bool = False

    @property
    def configuration(self) -> dict[str, Any]:
        """The protocol as parts name it: without settings that have their defaults."""
        return self.model_dump(exclude_defaults=True)

    @property
    def snapshots(self) -> list[Snapshot]:
        """The weights that are kept of each width."""
        moments: list[Moment] = ["last", "best"] if self.best_weights else ["last"]
        return [Snapshot(seed, when) for when in moments for seed in range(self.weights_seeds)]

    @model_validator(mode="after")
    def _weights_are_of_seeds(self) -> Self:
        if self.weights_seeds > self.seeds:
            raise ValueError(
                f"weights_seeds must be at most seeds ({self.seeds}; got {self.weights_seeds})"
            )
        return self

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        low, high = self.input_range
        if not low < high:
            raise ValueError("input_range must be [low, high] with low < high")
        rows_fit(self.seeds * self.epochs)
        return self


class StudyTraining(CnnSweep):
    """The protocol of a study: a sweep's, and what students of teachers have beyond it.

    Attributes:
        schedule: of the learning rate; linear: it falls to 0 after the last step.
        label_temperature: of the softmax that makes the classes' probabilities of the functions
            behind generated labels; 0: the labels are certain. Losses are divergences from them.
        fresh_images: whether each epoch has generated images of its own.
    """

    schedule: Literal["constant", "linear"] = "constant"
    label_temperature: Annotated[Real, Field(ge=0)] = 0
    fresh_images: bool = False

    @model_validator(mode="after")
    def _falls_with_its_decay(self) -> Self:
        # Decoupled decay goes with the rate, and the GPU's kernel has that of the first step.
        if (self.schedule, self.optimizer) == ("linear", "adamw") and self.weight_decay:
            raise ValueError("weight_decay must be 0 where adamw has schedule: linear; or use adam")
        return self

    @classmethod
    def of(cls, sweep: CnnSweep) -> Self:
        """A sweep's protocol as a study's, if it is not one."""
        return sweep if isinstance(sweep, cls) else cls(**sweep.model_dump())


BY_HAND = "cnn"
"""The network of Figure 6, which the sweeps train, and which engines written by hand train."""


class Cnn(Section):
    """Section `cnn`: the images, the widths, and the sweeps over them."""

    images: Name
    widths: Widths
    sweeps: Annotated[dict[Name, CnnSweep], Field(min_length=1)]


IS_FILE = (
    "the name of a file of stages/networks, without .py; of a class of another package make one: "
    "docs/network.md, 'A class that lies elsewhere'"
)


class Study(Section):
    """A network of stages/networks on images of section `images`, at widths of its own.

    All of it is trained as one stage into one part.
    """

    images: Name
    network: Annotated[str, matching(NAME, IS_FILE)]
    widths: Widths
    training: StudyTraining

    @model_validator(mode="after")
    def _kernels_have_the_precision(self) -> Self:
        if self.training.precision == "float16" and self.network != BY_HAND:
            raise ValueError(f"precision must be tf32 or float32 but for network {BY_HAND}")
        return self

    @model_validator(mode="after")
    def _rows_of_a_part_fit(self) -> Self:
        rows_fit(len(self.widths) * self.training.seeds * self.training.epochs)
        return self


class Change(Section):
    """What of a study's training is another, by the names of `StudyTraining`."""

    schedule: Literal["constant", "linear"] | None = None
    label_temperature: Annotated[Real, Field(ge=0)] | None = None
    fresh_images: bool | None = None
    epochs: Positive | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What is changed."""
        return self.model_dump(exclude_none=True)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.settings:
            raise ValueError(f"must change one of {', '.join(type(self).model_fields)}")
        return self


class Regime(Section):
    """Section `regime`: which studies, and each with which changes."""

    studies: Annotated[list[Name], Distinct]
    changes: Annotated[dict[Name, Change], Field(min_length=1)]

    def changed(self, study: Study) -> dict[str, Study]:
        """A study with each change of its training, of which no weights are kept."""
        usual = study.training.model_dump(exclude={"weights_seeds", "best_weights"})
        return {
            name: study.model_copy(update={"training": StudyTraining(**usual | change.settings)})
            for name, change in self.changes.items()
        }
