"""Section `regime`: studies of known dimension again, with what students have beyond them."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stages.base.params.cnn import Study, StudyTraining
from stages.base.params.fields import Distinct, Name, Positive, Real, Section


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
        """A study with each change of its training."""
        usual = study.training.model_dump()
        return {
            name: study.model_copy(update={"training": StudyTraining(**usual | change.settings)})
            for name, change in self.changes.items()
        }
