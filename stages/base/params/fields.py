"""What sections of params.yaml are made of: the base class, and types of values."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section of params.yaml: no unknown keys, no coercion, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _distinct(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError("must not repeat a value")
    return values


Distinct = AfterValidator(_distinct)
Positive = Annotated[int, Field(gt=0, lt=2**31)]
"""A count: tables hold them in 32 bits."""
Real = Annotated[float, Field(allow_inf_nan=False)]
PositiveReal = Annotated[Real, Field(gt=0)]
Share = Annotated[Real, Field(gt=0, lt=1)]
RandomSeed = Annotated[int, Field(ge=0, lt=2**63)]
Neighbours = Annotated[int, Field(ge=2, lt=2**31)]
Width = Annotated[int, Field(gt=0, le=2**12)]
"""The width of a network: the parameters of a CNN of this width are still counted in 32 bits."""
Widths = Annotated[list[Width], Field(min_length=1, max_length=2**8), Distinct]
Resamples = Annotated[int, Field(ge=100, le=10**6)]
ROWS = 10**7
"""Rows of a part, at most."""


def rows_fit(rows: int) -> None:
    """Raise a ValueError if a part would have too many rows."""
    if rows > ROWS:
        raise ValueError(f"makes a part of {rows:,} rows; at most {ROWS:,}: fewer seeds or epochs")


NumberRange = Annotated[list[Positive], Field(min_length=2, max_length=2)]
"""First and last of numbers, such as steps or widths."""


def matching(pattern: str, rule: str) -> AfterValidator:
    """Text that a regular expression matches whole; a fault says the rule instead of it."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {rule}")
        return text

    return AfterValidator(check)


NAME = "[a-z][a-z0-9_]*"
Name = Annotated[str, matching(NAME, "small letters, digits and _, a letter first")]
"""A name becomes part of stage and file names; `-` separates their parts."""
Place = Annotated[str, matching(r"[^\x00]+", "a path, and not empty")]
