"""One event file as one run: its width, its size and its curves by epoch.

Where these are found is section `imports` of params.yaml, as a `stages.base.params.Import`.
"""

import hashlib
import math
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import get_args

import numpy as np

from stages.base.errors import InputError
from stages.base.params import Import, Quantity
from stages.cnn.part import RANGES
from stages.cnn.part import parameters as parameters_of
from stages.tensorboard import events
from stages.tensorboard.events import Log

ACCURACIES = ("train_accuracy", "validation_accuracy")
SECONDS = 2.0
"""How many seconds an expression may look through a path."""


@dataclass(frozen=True)
class Run:
    """One event file, or one run of a table.

    Attributes:
        file: its path, from the folder of logs on; of a table, what the run is.
        start: wall time of its first event, seconds; of a table, the seed.
        width, parameters: 0 where a log without curves does not say.
        stated_epochs: how many a complete run has; 0 where the log does not say.
        epochs: those that have every metric, in order.
        curves: by metric, its values at `epochs`.
        partial: epochs that have some metrics only.
        duplicates: values that a later one of the same tag and step replaced.
        bad: records with a bad checksum.
        lost: bytes at the end that are no record.
        tags: of all scalars.
    """

    file: str
    start: float
    width: int
    parameters: int
    stated_epochs: int
    epochs: list[int]
    curves: dict[str, list[float]]
    partial: int
    duplicates: int
    bad: int
    lost: int
    tags: list[str]


def find(folder: Path) -> list[Path]:
    """The event files below a folder, as TensorBoard knows them by their names, in order.

    Raises:
        InputError: there is no such folder, or none in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the one that holds the event files")
    found = sorted(path for path in folder.rglob("*tfevents*") if path.is_file())
    if not found:
        files = sum(path.is_file() for path in folder.rglob("*"))
        raise InputError(
            f"{folder}: no event files among {files} files; expected names with tfevents in them"
        )
    return found


def listed(place: Path) -> Path:
    """The folder of the logs that a list of md5sums is of: it holds these and no others.

    So the list may be in git, and stand for logs that are not.

    Raises:
        InputError: the list is none, or a file is missing, another than listed, or not listed.
    """
    folder = place.with_suffix("")
    expected: dict[str, str] = {}
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{place}: cannot be read ({error})") from None
    for number, line in enumerate(lines, start=1):
        found = re.fullmatch(r"([0-9a-f]{32}) [ *](.+)", line)
        if not found or ".." in Path(found[2]).parts or Path(found[2]).is_absolute():
            raise InputError(f"{place}: line {number}: expected md5sum's: an MD5 and a path below")
        expected[found[2]] = found[1]
    there = {path.relative_to(folder).as_posix(): path for path in find(folder)}
    for name in sorted({*expected, *there}):
        path = there.get(name)
        if not path or hashlib.md5(path.read_bytes()).hexdigest() != expected.get(name):
            what = "not listed" if name not in expected else "changed" if path else "not there"
            wanted = f"{folder} must have the {len(expected)} files of {place}, and no others"
            raise InputError(f"{folder / name}: {what}; {wanted}")
    return folder


def read(path: Path, folder: Path, spec: Import) -> Run:
    """Read an event file below `folder`.

    Raises:
        InputError: what it holds contradicts itself or the params.
    """
    log = events.read(path.read_bytes())
    file = path.relative_to(folder).as_posix()
    stated = _stated(log, f"{folder.resolve().name}/{file}", path, spec)
    by_metric, duplicates = _by_metric(log, path, spec)
    held = [set(of) for of in by_metric.values()]
    epochs = sorted(set.intersection(*held))
    with np.errstate(over="ignore"):  # as the table has them: what is too large is infinite
        curves = {
            metric: np.array([of[epoch] for epoch in epochs]).astype(np.float32).tolist()
            for metric, of in by_metric.items()
        }
    check_ranges(curves, epochs, str(path), spec.tags.model_dump())
    width, parameters = _size(stated, path, spec, needed=bool(epochs))
    stated_epochs, partial = stated.get("epochs", 0), len(set.union(*held)) - len(epochs)
    found = width, parameters, stated_epochs, epochs, curves, partial, duplicates
    return Run(file, log.start, *found, log.bad, log.lost, sorted(log.scalars))


def _by_metric(log: Log, path: Path, spec: Import) -> tuple[dict[str, dict[int, float]], int]:
    """The value at each epoch of each metric that has a tag; and how many were replaced."""
    numbers = None
    if spec.epoch.tag is not None:
        numbers = dict(zip(*log.scalars.get(spec.epoch.tag, ([], [])), strict=True))
    by_metric: dict[str, dict[int, float]] = {}
    duplicates = 0
    for metric, tag in spec.tags.model_dump(exclude_none=True).items():
        steps, values = log.scalars.get(tag, ([], []))
        latest = dict(zip(steps, values, strict=True))
        duplicates += len(steps) - len(latest)
        share = 100 if spec.percent and metric in ACCURACIES else 1
        of = {_epoch(s, numbers, path, tag, spec): v / share for s, v in latest.items()}
        if len(of) < len(latest):
            raise InputError(
                f"{path}: mixed epochs: {tag} has {len(latest)} steps in {len(of)} epochs; "
                "expected one value an epoch; see imports.*.epoch"
            )
        by_metric[metric] = of
    held = [set(of) for of in by_metric.values()]
    if len(set.union(*held)) - len(set.intersection(*held)) > 1 + log.bad:
        tags = spec.tags.model_dump()
        found = "; ".join(f"{tags[metric]} has {_span(of)}" for metric, of in by_metric.items())
        raise InputError(f"{path}: mixed epochs: {found}; expected each tag at every epoch")
    return by_metric, duplicates


def _span(of: dict[int, float]) -> str:
    return f"{len(of)} epochs, {min(of)} to {max(of)}" if of else "none"


def _epoch(step: int, numbers: dict[int, float] | None, path: Path, tag: str, spec: Import) -> int:
    """The epoch, from 1, of a step: by its own number, or by those that a tag has at the steps."""
    rule = spec.epoch
    if numbers is None:
        number, what = float(step), "steps"
    elif step in numbers:
        number, what = numbers[step], f"values of {rule.tag}"
    else:
        raise InputError(
            f"{path}: no epoch of {tag} at step {step}: {rule.tag} has none there; "
            "expected one at every step; see imports.*.epoch"
        )
    first = rule.first or 0
    passed = (number - first) / rule.every
    if not (passed >= 0 and passed.is_integer()):
        expected = ", ".join(str(first + i * rule.every) for i in range(3))
        raise InputError(
            f"{path}: mixed epochs: {tag} is at {number:g}; expected {what} {expected}, ...; "
            "see imports.*.epoch"
        )
    return int(passed) + 1


def check_ranges(
    curves: Mapping[str, list[float]], epochs: list[int], where: str, names: Mapping[str, str]
) -> None:
    """See that the metrics of a run are within their ranges.

    Raises:
        InputError: one is not; it is called by `names`.
    """
    for metric, values in curves.items():
        least, most = RANGES[metric]
        for epoch, value in zip(epochs, values, strict=True):
            if value < least or value > most:
                expected = "more than 0 nats"
                if metric.endswith("accuracy"):
                    expected = "0 to 1; for percentages set imports.*.percent"
                raise InputError(
                    f"{where}: {names[metric]} is {value:g} at epoch {epoch}; expected {expected}"
                )


def _stated(log: Log, whole_path: str, path: Path, spec: Import) -> dict[Quantity, int]:
    """What a log says of itself, wherever it does.

    Raises:
        InputError: two places disagree, or one has no whole number.
    """
    with _at_most(SECONDS, f"{path}: imports.*.path {spec.path!r} finds no end; mend it"):
        matched = re.search(spec.path, whole_path)
    groups = matched.groupdict() if matched else {}
    stated: dict[Quantity, int] = {}
    for quantity in get_args(Quantity):
        said = [("its path", groups[quantity])] if groups.get(quantity) else []
        if (tag := spec.text.get(quantity)) in log.texts:
            said += [(f"text {tag}", text) for text in log.texts[tag]]
        if (tag := spec.scalars.get(quantity)) in log.scalars:
            said.append((f"scalar {tag}", f"{log.scalars[tag][1][-1]:.15g}"))
        if (name := spec.hyperparameters.get(quantity)) in log.hyperparameters:
            value = log.hyperparameters[name]
            text = f"{value:.15g}" if isinstance(value, float) else value
            said.append((f"hyperparameter {name}", text))
        places = {place: _whole(text, quantity, place, path) for place, text in said}
        if len(set(places.values())) > 1:
            found = " and ".join(f"{value} by {place}" for place, value in places.items())
            raise InputError(f"{path}: two values of {quantity}: {found}; expected one")
        if places:
            stated[quantity] = next(iter(places.values()))
    return stated


@contextmanager
def _at_most(seconds: float, said: str) -> Iterator[None]:
    """Raise an InputError once so much time has passed: an expression may backtrack for years.

    In the main thread, to which signals come; in others there is no end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise InputError(said)

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _size(stated: dict[Quantity, int], path: Path, spec: Import, needed: bool) -> tuple[int, int]:
    """Width and parameters; of the project's network one follows from the other."""
    width, parameters = stated.get("width", 0), stated.get("parameters", 0)
    if width and not parameters:
        parameters = parameters_of(width)
    elif parameters and not width:
        width = width_of(parameters)
        if not width:
            raise InputError(
                f"{path}: {parameters} parameters and no width; of the project's network no width "
                "has so many; say where the width is: imports.*.path, text, ..."
            )
    elif needed and not width:
        named = [*spec.text.values(), *spec.scalars.values(), *spec.hyperparameters.values()]
        raise InputError(
            f"{path}: no width and no parameters; expected in its path {spec.path!r}, or one of "
            f"{', '.join(named) or 'no tags'}; see imports.*.path, text, scalars, hyperparameters"
        )
    return width, parameters


def width_of(parameters: int) -> int:
    """The width at which the network has so many parameters; 0 if there is none."""
    widths = range(1, math.isqrt(parameters // 54) + 1)  # no wider one has so few
    return next((width for width in widths if parameters_of(width) == parameters), 0)


def _whole(text: str, quantity: str, place: str, path: Path) -> int:
    found = re.findall(r"\d+(?:[,_]\d{3})*(?:\.\d+)?", text)
    value = re.sub("[,_]", "", found[0]) if len(found) == 1 else ""
    if not value.isdecimal() or len(value) > 10 or not 0 < int(value) < 1 << 31:
        said = repr(text) if len(text) <= 100 else f"{text[:100]!r}..."
        raise InputError(
            f"{path}: {quantity} by {place} is {said}; expected one whole number from 1"
        )
    return int(value)
