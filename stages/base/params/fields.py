"""What sections of params.yaml are made of: the base class, and types of values."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


class Section(BaseModel):
    """A section of params.yaml: no unknown keys, no coercion, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _distinct(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError("must not repeat a value")
    return values


Distinct = AfterValidator(_distinct)
Positive = Annotated[int, Field(gt=0)]
Real = Annotated[float, Field(allow_inf_nan=False)]
PositiveReal = Annotated[Real, Field(gt=0)]
Share = Annotated[Real, Field(gt=0, lt=1)]
RandomSeed = Annotated[int, Field(ge=0)]
Neighbours = Annotated[int, Field(ge=2)]
Widths = Annotated[list[Positive], Field(min_length=1), Distinct]
NumberRange = Annotated[list[Positive], Field(min_length=2, max_length=2)]
"""First and last of numbers, such as steps or widths."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""A name becomes part of stage and file names; `-` separates their parts."""
