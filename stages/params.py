"""params.yaml as typed, validated objects: the only way by which a stage reads it.

`load()` validates the whole file before any work, so that a mistyped key of one section stops
every stage at once. A failure is one line per fault: where, what, and what is allowed.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import comb
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from stages.errors import InputError

PARAMS = Path("params.yaml")
T = TypeVar("T")


class Section(BaseModel):
    """A section of params.yaml: no unknown keys, no coercion, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _distinct(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("must not repeat a value")
    return values


Positive = Annotated[int, Field(gt=0)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Widths = Annotated[list[Positive], Field(min_length=1), AfterValidator(_distinct)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""A name becomes part of stage and file names; `-` separates their parts."""


class Data(Section):
    """Where the images come from."""

    source: Literal["cifar10", "cifar100", "fashion_mnist", "manifold", "mnist", "svhn"]

    @property
    def folder(self) -> Path:
        """Where the images lie."""
        return Path("data") / self.source

    @property
    def classes(self) -> int:
        """How many kinds of label there are."""
        return 100 if self.source == "cifar100" else 10


Generated = Annotated[int, Field(gt=0, le=2**17)]
"""Images, as many as the order of an epoch can hold."""


class GeneratedImages(Section):
    """Images that are generated, and their labels."""

    seed: Annotated[int, Field(ge=0)]
    patches: Positive
    train: Generated
    test: Generated


class Manifold(GeneratedImages):
    """Section `manifold`: generated images of a known dimension."""

    dimension: Annotated[int, Field(ge=1, le=64)]


class Training(Section):
    """What every trained network has."""

    optimizer: Literal["adam", "adamw"]
    learning_rate: Annotated[Real, Field(gt=0)]
    weight_decay: Annotated[Real, Field(ge=0)]
    batch_size: Positive
    seeds: Positive
    precision: Literal["tf32", "float32"]


class CnnSweep(Training):
    """One training protocol, run at every width with `seeds` seeds."""

    augment: bool
    augment_validation: bool
    input_range: Annotated[list[Real], Field(min_length=2, max_length=2)]
    epochs: Positive

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        low, high = self.input_range
        if not low < high:
            raise ValueError("input_range must be [low, high] with low < high")
        return self


class Cnn(Section):
    """Section `cnn`: the widths, and the sweeps over them."""

    widths: Widths
    sweeps: Annotated[dict[Name, CnnSweep], Field(min_length=1)]


class Method(Section):
    """Section `method`: the whole method where the dimension is known, on generated images."""

    dimensions: Annotated[list[Positive], Field(min_length=1), AfterValidator(_distinct)]
    images: GeneratedImages
    widths: Widths
    training: CnnSweep

    def manifold(self, dimension: int) -> Manifold:
        """The images of one known dimension."""
        return Manifold(dimension=dimension, **self.images.model_dump())


@dataclass(frozen=True)
class ParityRun:
    """One network in training; `samples` of 0 means fresh ones without end."""

    width: int
    samples: int
    seed: int


@dataclass(frozen=True)
class ParityFamily:
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
    def runs(self) -> list[ParityRun]:
        """By width, then size of the training set, then seed."""
        return [ParityRun(*run) for run in product(self.widths, self.samples, self.seeds)]

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


def _divides(steps: int, evaluate_every: int) -> None:
    if steps % evaluate_every:
        raise ValueError(f"evaluate_every must divide steps ({steps})")


Size = Annotated[int, Field(gt=0, le=2**30)]  # places in it are counted in 32 bits


class DataLimited(Section):
    """Runs on a fixed training set, pass after pass, of one configuration."""

    widths: Widths
    samples: Annotated[list[Size], Field(min_length=1), AfterValidator(_distinct)]
    steps: Positive
    evaluate_every: Positive

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        _divides(self.steps, self.evaluate_every)
        return self


Quantity = Literal["width", "parameters", "epochs"]
"""What is to be known of an imported run, beside its curves."""


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
    """The epochs of a log: its steps, or the values of a tag, first, first + every, ..."""

    tag: str | None = None
    first: int = 0
    every: Positive = 1


class Import(Section):
    """A sweep from TensorBoard's logs. Width, parameters and epochs of a run are looked for in
    its path, texts, scalars and hyperparameters; all places that have one must agree.
    """

    folder: Annotated[str, StringConstraints(min_length=1)]
    path: Annotated[str, AfterValidator(_finds_quantities)] = r"\bn_(?P<width>\d+)"
    text: dict[Quantity, str] = {
        "width": "Channel count/text_summary",
        "parameters": "Model size/text_summary",
        "epochs": "Epochs/text_summary",
    }
    scalars: dict[Quantity, str] = {}
    hyperparameters: dict[Quantity, str] = {}
    tags: CurveTags = CurveTags()
    epoch: EpochSteps = EpochSteps()
    epochs: Positive | None = None  # of a complete run; null: as the logs say, or the longest has
    percent: bool = False  # whether accuracies go to 100
    late_from: Annotated[int, Field(ge=2)] = 2  # the epoch from which a first fall is late


class ParityConfiguration(Training):
    """One multitask sparse parity problem, and the networks trained on it.

    `widths` are trained on fresh samples without end; `data_limited` says what is trained beside
    them on fixed training sets.
    """

    tasks: Positive
    bits: Annotated[int, Field(gt=0, le=256)]  # as many as the GPU's kernels hold at once
    subset_size: Positive
    alpha: Annotated[Real, Field(gt=0)]
    widths: Widths
    logits: Literal[1, 2]
    steps: Positive
    evaluate_every: Positive
    evaluation_samples: Positive
    learned_below: Annotated[Real, Field(gt=0, lt=0.5)]
    task_curves: Annotated[int, Field(ge=0)]
    data_limited: DataLimited | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.subset_size > self.bits:
            raise ValueError(f"subset_size must be at most bits ({self.bits})")
        subsets = comb(self.bits, self.subset_size)
        if self.tasks > subsets:
            raise ValueError(f"tasks must be at most {subsets}: there are no more subsets of bits")
        _divides(self.steps, self.evaluate_every)
        return self

    def parameters(self, width: int) -> int:
        """N, the number of trained parameters: 603 width + 2 for the paper's problem."""
        return (self.tasks + self.bits + 1) * width + (width + 1) * self.logits

    def families(self) -> list[ParityFamily]:
        """All runs: those on fresh samples, then those on fixed training sets."""
        seeds = range(self.seeds)
        families = [ParityFamily(self.widths, [0], seeds, self.steps, self.evaluate_every)]
        if d := self.data_limited:
            families.append(ParityFamily(d.widths, d.samples, seeds, d.steps, d.evaluate_every))
        return families

    def curve_steps(self) -> list[int]:
        """Evaluated steps, about evenly spaced in their logarithm, that keep every task's loss.

        At most `task_curves`, fewer where two would fall on one evaluation. Those of the widest
        networks on fresh samples are kept.
        """
        evaluations, last = self.steps // self.evaluate_every, self.task_curves - 1
        places = {round(evaluations ** (i / last)) for i in range(last)} if last > 0 else set()
        if self.task_curves:
            places.add(evaluations)
        return [place * self.evaluate_every for place in sorted(places)]


class Parity(Section):
    """Section `parity`: the named configurations."""

    configurations: Annotated[dict[Name, ParityConfiguration], Field(min_length=1)]


Share = Annotated[Real, Field(gt=0, lt=1)]
NumberRange = Annotated[list[Positive], Field(min_length=2, max_length=2)]


class Quanta(Section):
    """Section `quanta`: how learning times and exponents of the parity runs are fitted."""

    confidence: Share
    resamples: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0)]
    steps: NumberRange
    samples_below: Annotated[Real, Field(gt=0)]
    finite_tasks: NumberRange
    horizons: Annotated[int, Field(ge=2, le=100)]

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ["steps", "finite_tasks"]:
            first, last = getattr(self, name)
            if first >= last:
                raise ValueError(f"{name} must be [first, last] with first < last")
        return self


Neighbours = Annotated[int, Field(ge=2)]


class KnownDimension(Section):
    """Data of known dimension, measured like the rest to show how far each estimator is off."""

    samples: Positive
    dimensions: Annotated[list[Positive], Field(min_length=2), AfterValidator(_distinct)]
    compare: Positive

    @model_validator(mode="after")
    def _compares_with_one_of_them(self) -> Self:
        if self.compare not in self.dimensions:
            raise ValueError(f"compare must be one of dimensions {self.dimensions}")
        return self


class Dimension(Section):
    """Section `dimension`: how the intrinsic dimension is measured."""

    discard: Annotated[Real, Field(gt=0, lt=1)]
    ratio_neighbours: Annotated[list[Neighbours], Field(min_length=1), AfterValidator(_distinct)]
    likelihood_neighbours: Annotated[
        list[Neighbours], Field(min_length=1), AfterValidator(_distinct)
    ]
    blocks: Annotated[list[Positive], Field(min_length=1), AfterValidator(_distinct)]
    confidence: Annotated[Real, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]
    known: KnownDimension

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if 1 not in self.blocks:
            raise ValueError(f"blocks must hold 1, all the points at once (got {self.blocks})")
        smallest = self.known.samples // max(self.blocks)
        most = max(self.ratio_neighbours + self.likelihood_neighbours)
        if most >= smallest:
            raise ValueError(
                f"neighbours must be fewer than the {smallest} points in the smallest block of "
                f"known.samples (got {most})"
            )
        return self


WidthRange = Annotated[list[Positive], Field(min_length=2, max_length=2)]
"""First and last width."""
WidthRanges = dict[Name, WidthRange]


def _ascending(ranges: dict[str, list[int]]) -> dict[str, list[int]]:
    for name, (first, last) in ranges.items():
        if name == "all":
            raise ValueError("all is always there, and means all widths; choose another name")
        if first > last:
            raise ValueError(f"{name} must be [first, last] with first <= last")
    return ranges


class Sensitivity(Section):
    """What the fitted exponents are shown to depend on."""

    widths: Annotated[WidthRanges, AfterValidator(_ascending)]
    window: Annotated[int, Field(ge=3)]
    huber: Annotated[Real, Field(gt=0)]


class Fit(Section):
    """Section `fit`: how exponents and their intervals are made from the CNN's runs."""

    quantiles: Annotated[list[Share], Field(min_length=1)]
    epochs: Annotated[list[Literal["pooled", "last", "best"]], Field(min_length=1)]
    widths: Annotated[WidthRanges, AfterValidator(_ascending)]
    failed_above: Annotated[Real, Field(gt=0)]
    confidence: Share
    resamples: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0)]
    compare_width: Positive
    sensitivity: Sensitivity

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if len(set(self.quantiles)) < len(self.quantiles):
            raise ValueError("quantiles must not repeat a value")
        if len(set(self.epochs)) < len(self.epochs):
            raise ValueError("epochs must not repeat a value")
        if 0.5 not in self.quantiles:
            raise ValueError("quantiles must hold 0.5, the median that the headline numbers use")
        return self


class Calibration(Section):
    """Section `calibration`: how the coverage of the intervals is measured."""

    sweeps: Annotated[int, Field(ge=20)]
    seed: Annotated[int, Field(ge=0)]


class Curve(Section):
    """A loss read off a published figure."""

    parameters: Annotated[list[Positive], Field(min_length=2), AfterValidator(_distinct)]
    loss: Annotated[list[Annotated[Real, Field(gt=0)]], Field(min_length=2)]

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        if len(self.parameters) != len(self.loss):
            raise ValueError(
                f"loss must have as many values as parameters "
                f"({len(self.loss)} and {len(self.parameters)})"
            )
        return self


class SharmaKaplan(Section):
    """4/alpha of each metric, and the intrinsic dimension, in the paper's Figure 6."""

    test_loss: Annotated[Real, Field(gt=0)]
    train_loss: Annotated[Real, Field(gt=0)]
    test_error: Annotated[Real, Field(gt=0)]
    train_error: Annotated[Real, Field(gt=0)]
    intrinsic_dimension: Annotated[Real, Field(gt=0)]
    widths: WidthRange
    expected: Annotated[list[Annotated[Real, Field(gt=0)]], Field(min_length=2, max_length=2)]
    test_loss_curve: Curve

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        if self.widths[0] > self.widths[1]:
            raise ValueError("widths must be [first, last] with first <= last")
        if self.expected[0] > self.expected[1]:
            raise ValueError("expected must be [low, high] with low <= high")
        return self


PositiveReals = Annotated[list[Annotated[Real, Field(gt=0)]], Field(min_length=2)]


class PublishedPoints(Section):
    """Points of a published figure: its fields are lists, one value of each for a point."""

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        sizes = {name: len(values) for name, values in self.model_dump().items()}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise ValueError(f"lists must be of one length (values: {said})")
        return self


class LearningSteps(PublishedPoints):
    """Steps until a task is learned."""

    tasks: Annotated[list[Positive], Field(min_length=2), AfterValidator(_distinct)]
    steps: PositiveReals


class LossByParameters(PublishedPoints):
    """Mean loss in bits against N."""

    parameters: Annotated[list[Positive], Field(min_length=2), AfterValidator(_distinct)]
    loss: PositiveReals


class LossBySamples(PublishedPoints):
    """Mean loss in bits against the size of the training set."""

    samples: Annotated[list[Positive], Field(min_length=2), AfterValidator(_distinct)]
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
    learning_exponent: Annotated[Real, Field(gt=0)]
    learning_steps: LearningSteps
    loss_by_parameters: LossByParameters
    loss_by_samples: LossBySamples
    exponents: PublishedExponents


class Published(Section):
    """Section `published`: the numbers that ours stand beside."""

    sharma_kaplan: SharmaKaplan
    michaud: Michaud


class Plot(Section):
    """Section `plot`: how figures look; no number depends on it."""

    width: Annotated[Real, Field(ge=4, le=20)]
    points: Annotated[int, Field(ge=2, le=100)]
    marker_size: Annotated[Real, Field(gt=0)]
    opacity: Annotated[Real, Field(gt=0, le=1)]
    steps: Annotated[int, Field(ge=2, le=200)]
    band: Annotated[list[Share], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _band_is_not_empty(self) -> Self:
        if not self.band[0] < self.band[1]:
            raise ValueError("band must be [low, high] with low < high")
        return self


class FitRule(Section):
    """One fit of the CNN sweeps, by its row in metrics/cnn_fits.csv."""

    sweep: Name
    epochs: Literal["pooled", "last", "best"]
    quantile: Share
    widths: Name
    failed: Literal["included", "excluded"]


class DimensionRule(Section):
    """The measured dimension of a range of networks, by their rows in metrics/dimension.csv."""

    sweep: Name
    widths: Name
    estimator: Literal["twonn", "ratio", "likelihood"]
    neighbours: Neighbours


class LearningRule(Section):
    """Which law of learning times stands for the published one."""

    configuration: Name
    tasks: Literal["all", "learned", "complete"]


class ParityVerdict(Section):
    """Which configurations stand for the published ones; those not trained are said to be missing.

    `exponents` is what the names of Figure 10's configurations begin with.
    """

    tolerance: Annotated[Real, Field(ge=0, lt=1)]
    learning: LearningRule
    widths: Name
    samples: Name
    exponents: Name


class Verdict(Section):
    """Section `verdict`: which of our numbers stands for which published one, and what agrees."""

    tolerance: Annotated[Real, Field(ge=0, lt=1)]
    range_tolerance: Annotated[Real, Field(ge=0, lt=1)]
    fit: FitRule
    dimension: DimensionRule
    notebook_metric: Literal["validation_loss", "train_loss", "validation_error", "train_error"]
    notebook: FitRule
    parity: ParityVerdict


class Params(Section):
    """The whole of params.yaml."""

    data: Data
    manifold: Manifold
    cnn: Cnn
    method: Method
    imports: dict[Name, Import]
    parity: Parity
    quanta: Quanta
    fit: Fit
    calibration: Calibration
    dimension: Dimension
    published: Published
    plot: Plot
    verdict: Verdict

    @property
    def origin(self) -> dict[str, Any]:
        """What makes the images, as a part records it."""
        made = self.manifold.model_dump() if self.data.source == "manifold" else {}
        return self.data.model_dump() | made

    @model_validator(mode="after")
    def _imports_have_names_of_their_own(self) -> Self:
        for name in self.imports:
            if name in self.cnn.sweeps:
                raise ValueError(f"imports.{name}: a sweep of cnn.sweeps; choose another name")
        return self

    @model_validator(mode="after")
    def _judges_what_is_fitted(self) -> Self:
        allowed: dict[str, list[Any]] = {
            "sweep": [*self.cnn.sweeps, *self.imports],
            "epochs": self.fit.epochs,
            "quantile": self.fit.quantiles,
            "widths": ["all", *self.fit.widths],
        }
        measured = allowed | {"sweep": [*self.cnn.sweeps]}  # of imported runs there are no weights
        for name, among in {"fit": allowed, "notebook": allowed, "dimension": measured}.items():
            for key, got in getattr(self.verdict, name).model_dump().items():
                if key in among and got not in among[key]:
                    known = ", ".join(str(value) for value in among[key])
                    raise ValueError(f"verdict.{name}.{key} must be one of {known} (got {got!r})")
        return self


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats, as DVC writes them (PyYAML reads `1e-3` as text); no key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise yaml.MarkedYAMLError(problem=f"key {key!r} given twice (from line {line})")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


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
    """Read and validate params.yaml.

    Raises:
        InputError: the file is missing, is no YAML, or holds an unknown key or a bad value.
    """
    try:
        content = yaml.load(path.read_bytes(), _Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); run from the root") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(_line(path, e) for e in error.errors())) from None


def lookup(section: dict[str, T], name: str, where: str) -> T:
    """The entry `name` of a dict of params.

    Raises:
        InputError: there is none; the message names those that there are.
    """
    if name not in section:
        known = ", ".join(section)
        raise InputError(f"{PARAMS}: {where}: no {name!r}; there is {known}")
    return section[name]


def fingerprint(configuration: dict[str, Any]) -> str:
    """SHA-256 (hex) of a configuration, independent of the order of its keys."""
    canonical = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
