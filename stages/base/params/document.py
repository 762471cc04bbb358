"""params.yaml as typed, validated objects: the only way by which a stage reads it.

`load()` validates the whole file before any work, so that a mistyped key of one section stops
every stage at once. A failure is one line per fault: where, what, and what is allowed.
"""

from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from stages.base.errors import InputError
from stages.base.params.cnn import BY_HAND, Cnn, Regime, Study, StudyTraining
from stages.base.params.fields import Name, Section
from stages.base.params.fits import Calibration, Dimension, Fit, Quanta
from stages.base.params.images import CIFAR, GREY, ImageSet, Manifold, NamedImages, sizes
from stages.base.params.imports import Import
from stages.base.params.parity import Parity
from stages.base.params.published import Published
from stages.base.params.students import Students
from stages.base.params.verdict import Plot, Verdict

PARAMS = Path("params.yaml")
PUBLISHED = Path("published.yaml")
SHOWN = 100
"""Characters of a value or a key, at most, that a line shows."""
D = TypeVar("D", bound=Section)
T = TypeVar("T")


class Params(Section):
    """The whole of params.yaml."""

    images: Annotated[dict[Name, ImageSet], Field(min_length=1)]
    cnn: Cnn
    studies: dict[Name, Study]
    regime: Regime
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
    def cnn_images(self) -> NamedImages:
        """What the sweeps are trained on."""
        return self.named_images(self.cnn.images)

    def named_images(self, name: str) -> NamedImages:
        """Images of section `images`."""
        return NamedImages(name, self.images[name])

    @property
    def trained(self) -> dict[str, Study]:
        """Every sweep that is trained here by its name, those of section `studies` last."""
        cnn, sweeps = self.cnn, {}
        for name, sweep in cnn.sweeps.items():
            training = StudyTraining.of(sweep)
            sweeps[name] = Study(
                images=cnn.images, network=BY_HAND, widths=cnn.widths, training=training
            )
        return sweeps | self.studies

    @property
    def drawn(self) -> list[str]:
        """What has figures of its own: the sweeps, the studies and the imported sweeps.

        Studies of generated images do not: what counts of them stands in one figure.
        """
        made = [n for n, s in self.studies.items() if isinstance(self.images[s.images], Manifold)]
        return [*(name for name in self.trained if name not in made), *self.imports]

    def alike(self, name: str) -> list[str]:
        """The sweeps and studies on the images and the network of one, and the imported ones.

        Those are what may stand for each other where a choice is made otherwise. Of imported runs
        nobody told us the images: they are taken for runs like those of the sweeps.
        """

        def kind(study: Study) -> tuple[str, str]:
            return study.images, study.network

        same = kind(self.trained[name]) if name in self.trained else (self.cnn.images, BY_HAND)
        found = [other for other, study in self.trained.items() if kind(study) == same]
        return [*found, *self.imports]

    @property
    def changed(self) -> dict[str, dict[str, Study]]:
        """The studies of section `regime`, each with every change, by their names."""
        return {name: self.regime.changed(self.studies[name]) for name in self.regime.studies}

    @model_validator(mode="after")
    def _images_are_known(self) -> Self:
        asked = {"cnn": (self.cnn.images, BY_HAND)}
        asked |= {f"studies.{n}": (s.images, s.network) for n, s in self.studies.items()}
        known = ", ".join(self.images)
        for where, (images, network) in asked.items():
            if images not in self.images:
                raise ValueError(f"{where}.images must be one of {known} (got {images!r})")
            shape = self.images[images].shape
            if network == BY_HAND and shape not in (CIFAR, GREY):
                raise ValueError(
                    f"{where}.images: the network cnn takes {sizes(CIFAR)}, and grey "
                    f"{sizes(GREY[:2])}; {images} has {sizes(shape)}: choose another network, "
                    "in studies"
                )
        return self

    @model_validator(mode="after")
    def _regime_is_of_known_dimension(self) -> Self:
        for name, study in self.studies.items():
            asks = study.training.label_temperature or study.training.fresh_images
            if asks and self.images[study.images].source != "manifold":
                raise ValueError(
                    f"studies.{name}: label_temperature and fresh_images need images of source "
                    f"manifold ({study.images} is not)"
                )
        for name in self.regime.studies:  # a stage names its images' record so, and cnn.py
            among = self.studies.get(name)
            known = among and (among.images, among.network) == (name, BY_HAND)
            if not known or self.images[name].source != "manifold":
                raise ValueError(
                    f"regime.studies: {name!r} must be a study of the network {BY_HAND} on images "
                    "of that name, of source manifold"
                )
        return self

    @model_validator(mode="after")
    def _sweeps_have_names_of_their_own(self) -> Self:
        first = dict.fromkeys(self.cnn.sweeps, "cnn.sweeps")
        for section, names in {"studies": [*self.studies], "imports": [*self.imports]}.items():
            for name in names:
                if name in first:
                    both = f"{first[name]}.{name} and {section}.{name}"
                    raise ValueError(f"{both}: two sweeps of one name; choose another for either")
                first[name] = section
        return self

    @model_validator(mode="after")
    def _judges_what_is_fitted(self) -> Self:
        allowed: dict[str, list[Any]] = {
            "sweep": [*self.trained, *self.imports],
            "epochs": self.fit.epochs,
            "quantile": self.fit.quantiles,
            "widths": ["all", *self.fit.widths],
        }
        # of imported runs there are no weights
        measured = allowed | {"sweep": [*self.trained], "epochs": ["last", "best"]}
        for name, among in {"fit": allowed, "notebook": allowed, "dimension": measured}.items():
            for key, got in getattr(self.verdict, name).model_dump().items():
                if key in among and got not in among[key]:
                    known = ", ".join(str(value) for value in among[key])
                    raise ValueError(f"verdict.{name}.{key} must be one of {known} (got {got!r})")
        rule = self.verdict.dimension
        if rule.epochs == "best" and not self.trained[rule.sweep].training.best_weights:
            raise ValueError(
                f"verdict.dimension.epochs: best needs best_weights: true of {rule.sweep}"
            )
        return self


def _line(path: Path, error: Any) -> str:
    parts = [str(part)[:SHOWN] for part in error["loc"] if part != "[key]"]
    if parts[:1] == ["images"]:
        del parts[2:3]  # which of the kinds of images it was taken for
    where = ".".join(parts)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{path}: {where}: missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{path}: {where}: unknown key; remove it, or mend its spelling"
    value = repr(error["input"])
    value = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
    got = "" if isinstance(error["input"], dict | BaseModel) else f" (got {value})"
    return f"{path}: {where}: {message}{got}" if where else f"{path}: {message}"


LINES = 20
"""Faults, at most, that are listed."""
DEPTH, NODES, CHARACTERS = 20, 10_000, 1000
"""How deep a file that is read may nest, how much it may hold, how long one value may be."""


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
        text = path.read_text(encoding="utf-8")
        _see_that_it_is_plain(text)
        content = YAML(typ="safe").load(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); run from the root") from None
    except (YAMLError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {_reason(error)}") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        lines = [_line(path, fault) for fault in faults[:LINES]]
        if len(faults) > LINES:
            lines.append(f"{path}: and {len(faults) - LINES} more")
        raise InputError("\n".join(lines)) from None


def _see_that_it_is_plain(text: str) -> None:
    """See that a file is small and says everything outright, before anything is made of it.

    When DVC sets a value it writes what an anchor stands for in every place, and so changes other
    lines; and some kilobytes of references can stand for gigabytes.

    Raises:
        ValueError: it is not.
    """
    depth = 0
    for nodes, event in enumerate(YAML(typ="safe").parse(text)):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        where = f"(line {event.start_mark.line + 1})"
        if getattr(event, "anchor", None) is not None or getattr(event, "value", "") == "<<":
            raise ValueError(f"anchors, references and merges are not allowed; repeat it {where}")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"tags are not allowed {where}")
        if depth > DEPTH or nodes > NODES:
            raise ValueError(f"too deep or too much: {DEPTH} levels and {NODES} values {where}")
        if len(getattr(event, "value", "")) > CHARACTERS:
            raise ValueError(f"a value has more than {CHARACTERS} characters {where}")


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
