"""published.yaml: the numbers that ours stand beside."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from stages.base.params.fields import Distinct, NumberRange, Positive, PositiveReal, Section

PositiveReals = Annotated[list[PositiveReal], Field(min_length=2)]


class PublishedPoints(Section):
    """Points of a published figure: its fields are lists, one value of each for a point."""

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        sizes = {name: len(values) for name, values in self.model_dump().items()}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise ValueError(f"lists must be of one length (values: {said})")
        return self


class Figure6(PublishedPoints):
    """The four curves of Figure 6, by N: losses in nats, errors as shares."""

    parameters: Annotated[list[Positive], Field(min_length=2), Distinct]
    test_loss: PositiveReals
    train_loss: PositiveReals
    test_error: PositiveReals
    train_error: PositiveReals


class SharmaKaplan(Section):
    """4/alpha of each metric, and the intrinsic dimension, in the paper's Figure 6."""

    test_loss: PositiveReal
    train_loss: PositiveReal
    test_error: PositiveReal
    train_error: PositiveReal
    intrinsic_dimension: PositiveReal
    widths: NumberRange
    expected: Annotated[list[PositiveReal], Field(min_length=2, max_length=2)]
    figure_6: Figure6

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        if self.widths[0] > self.widths[1]:
            raise ValueError("widths must be [first, last] with first <= last")
        if self.expected[0] > self.expected[1]:
            raise ValueError("expected must be [low, high] with low <= high")
        return self


class LearningSteps(PublishedPoints):
    """Steps until a task is learned."""

    tasks: Annotated[list[Positive], Field(min_length=2), Distinct]
    steps: PositiveReals


class LossByParameters(PublishedPoints):
    """Mean loss in bits against N."""

    parameters: Annotated[list[Positive], Field(min_length=2), Distinct]
    loss: PositiveReals


class LossBySamples(PublishedPoints):
    """Mean loss in bits against the size of the training set."""

    samples: Annotated[list[Positive], Field(min_length=2), Distinct]
    loss: PositiveReals


class PublishedExponents(PublishedPoints):
    """alpha_N, alpha_S and alpha_D against alpha."""

    alpha: PositiveReals
    N: PositiveReals
    S: PositiveReals
    D: PositiveReals


class Michaud(Section):
    """Numbers of the quantization model's Figures 2, 7, 8 and 10."""

    tasks: Positive
    learning_exponent: PositiveReal
    learning_steps: LearningSteps
    loss_by_parameters: LossByParameters
    loss_by_samples: LossBySamples
    exponents: PublishedExponents


class Published(Section):
    """The whole of published.yaml."""

    sharma_kaplan: SharmaKaplan
    michaud: Michaud
