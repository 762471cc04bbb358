"""params.yaml as typed, validated objects: the only way by which a stage reads it.

`load()` validates the whole file before any work, so that a mistyped key of one section stops
every stage at once. A failure is one line per fault: where, what, and what is allowed.
"""

from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stages.base.errors import InputError
from stages.base.params.cnn import Cnn, Method, Study
from stages.base.params.dimension import Dimension
from stages.base.params.fields import Name, Section
from stages.base.params.fits import Calibration, Fit, Quanta
from stages.base.params.images import Data, Manifold
from stages.base.params.imports import Import
from stages.base.params.parity import Parity
from stages.base.params.plot import Plot
from stages.base.params.published import Published
from stages.base.params.students import Students
from stages.base.params.verdict import Verdict

PARAMS = Path("params.yaml")
PUBLISHED = Path("published.yaml")
D = TypeVar("D", bound=Section)
T = TypeVar("T")


class Params(Section):
    """The whole of params.yaml."""

    data: Data
    manifold: Manifold
    cnn: Cnn
    studies: dict[Name, Study]
    method: Method
    imports: dict[Name, Import]
    parity: Parity
    quanta: Quanta
    students: Students
    fit: Fit
    calibration: Calibration
    dimension: Dimension
    plot: Plot
    verdict: Verdict

    @property
    def origin(self) -> dict[str, Any]:
        """What makes the images, as a part records it."""
        made = self.manifold.model_dump() if self.data.source == "manifold" else {}
        return self.data.model_dump() | made

    @property
    def trained(self) -> dict[str, Study]:
        """Every sweep that is trained here by its name, those of section `studies` last."""
        widths = self.cnn.widths
        sweeps = {name: Study(widths=widths, training=s) for name, s in self.cnn.sweeps.items()}
        return sweeps | self.studies

    @model_validator(mode="after")
    def _sweeps_have_names_of_their_own(self) -> Self:
        taken = {*self.cnn.sweeps}
        for section, names in {"studies": {*self.studies}, "imports": {*self.imports}}.items():
            for name in names & taken:
                raise ValueError(f"{section}.{name}: a sweep has that name; choose another")
            taken |= names
        return self

    @model_validator(mode="after")
    def _judges_what_is_fitted(self) -> Self:
        allowed: dict[str, list[Any]] = {
            "sweep": [*self.trained, *self.imports],
            "epochs": self.fit.epochs,
            "quantile": self.fit.quantiles,
            "widths": ["all", *self.fit.widths],
        }
        measured = allowed | {"sweep": [*self.trained]}  # of imported runs there are no weights
        for name, among in {"fit": allowed, "notebook": allowed, "dimension": measured}.items():
            for key, got in getattr(self.verdict, name).model_dump().items():
                if key in among and got not in among[key]:
                    known = ", ".join(str(value) for value in among[key])
                    raise ValueError(f"verdict.{name}.{key} must be one of {known} (got {got!r})")
        return self


def _line(path: Path, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{path}: {where}: missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{path}: {where}: unknown key; remove it, or mend its spelling"
    got = "" if isinstance(error["input"], dict | BaseModel) else f" (got {error['input']!r})"
    return f"{path}: {where}: {message}{got}" if where else f"{path}: {message}"


def load(path: Path = PARAMS) -> Params:
    """Read and validate params.yaml, by the parser of YAML 1.2 that DVC reads it with.

    Raises:
        InputError: the file is missing, is no YAML, or holds an unknown key or a bad value.
    """
    return _load(path, Params)


def published(path: Path = PUBLISHED) -> Published:
    """Read and validate published.yaml, likewise."""
    return _load(path, Published)


def _load(path: Path, kind: type[D]) -> D:
    try:
        content = YAML(typ="safe").load(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); run from the root") from None
    except (YAMLError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {_reason(error)}") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(_line(path, e) for e in error.errors())) from None


def _reason(error: Exception) -> str:
    """What is wrong, and in which line, without the parser's advice."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        problem = error.problem.partition(" with value")[0]
        return f"{problem} (line {error.problem_mark.line + 1})"
    return " ".join(str(error).split())


def lookup(section: dict[str, T], name: str, where: str) -> T:
    """The entry `name` of a dict of params.

    Raises:
        InputError: there is none; the message names those that there are.
    """
    if name not in section:
        known = ", ".join(section)
        raise InputError(f"{PARAMS}: {where}: no {name!r}; there is {known}")
    return section[name]
