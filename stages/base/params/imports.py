"""Section `imports`: sweeps that others trained, from TensorBoard's logs or from a table."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from stages.base.params.fields import Place, Positive, Section

Quantity = Literal["width", "parameters", "epochs"]
"""The numbers that an imported run has beside its curves."""
Column = Literal[
    "width",
    "parameters",
    "seed",
    "epoch",
    "train_loss",
    "train_accuracy",
    "evaluated_train_loss",
    "evaluated_train_accuracy",
    "validation_loss",
    "validation_accuracy",
]
"""A column of a table of runs."""
TABLES = (".csv", ".parquet")
"""How the name of a table ends."""
LIST = ".md5"
"""How the name of a list of logs ends, as md5sum writes it: of those in the folder beside it that
has its name without this."""


def _finds_quantities(pattern: str) -> str:
    try:
        groups = {*re.compile(pattern).groupindex}
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    if not groups <= {*get_args(Quantity)}:
        raise ValueError(f"named groups must be of {', '.join(get_args(Quantity))}")
    return pattern


class CurveTags(Section):
    """The scalars' tags in TensorBoard's logs; null for an accuracy that they lack."""

    train_loss: str = "Loss/Train"
    train_accuracy: str | None = "Accuracy/Train"
    validation_loss: str = "Loss/Validation"
    validation_accuracy: str | None = "Accuracy/Validation"


class EpochSteps(Section):
    """The epochs of a run: its steps, or the values of a tag, first, first + every, ..."""

    tag: str | None = None
    first: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None  # 0 of a log, 1 of a table
    every: Positive = 1


class Import(Section):
    """A sweep from a folder of TensorBoard's logs, from a list of such files, or from a table.

    Width, parameters and epochs of a log are looked for in its path, texts, scalars and
    hyperparameters; all places that have one must agree.
    """

    runs: Place
    columns: dict[Column, str] = Field({})  # of a table, where they have other names
    path: Annotated[str, AfterValidator(_finds_quantities)] = r"\bn_(?P<width>\d+)"
    text: dict[Quantity, str] = Field(
        {
            "width": "Channel count/text_summary",
            "parameters": "Model size/text_summary",
            "epochs": "Epochs/text_summary",
        }
    )
    scalars: dict[Quantity, str] = Field({})
    hyperparameters: dict[Quantity, str] = Field({})
    tags: CurveTags = CurveTags()
    epoch: EpochSteps = EpochSteps()
    epochs: Positive | None = None  # of a complete run; null: as the logs say, or the longest has
    percent: bool = False  # whether accuracies go to 100
    late_from: Annotated[int, Field(ge=2, lt=2**31)] = 2  # from this epoch on a first fall is late

    @model_validator(mode="after")
    def _says_nothing_of_the_other_kind(self) -> Self:
        kind, other = "a folder of logs", ["columns"]
        if self.runs.endswith(TABLES):
            kind, other = "a table", ["path", "text", "scalars", "hyperparameters", "tags"]
        said = [k for k in other if getattr(self, k) != type(self).model_fields[k].default]
        if self.runs.endswith(TABLES) and self.epoch.tag is not None:
            said.append("epoch.tag")
        if said:
            raise ValueError(f"{said[0]}: means nothing for {kind}, which runs names; remove it")
        return self
