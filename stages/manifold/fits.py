"""Every fit to the CNN sweeps, as tables: Sharma & Kaplan's Figure 6, and what it depends on.

- `fits`: each metric, choice of epochs, quantile and range of widths, with and without failed
  runs; the replication notebook's are those of the pooled epochs. Medians of all runs, over all
  widths and the ranges of `fit.widths`, are fitted by scikit-learn, too (`alpha_sklearn`; of
  pooled epochs, the validation loss alone); that they differ is a status.
- `sensitivity`: alpha of the losses as one thing (`factor`) is varied (to `level`) from the median
  over all widths and runs: the choice of epochs; a single epoch; and for each choice of epochs the
  quantile, range of widths, failed runs, and model, with or without an irreducible loss E, but
  where epochs are pooled: most of their distance from any floor is lack of training.
- `local_slopes`: alpha of the losses in a sliding window of widths; a power law's does not move.
- `best_epochs`: the epoch of each way of early stopping, by sweep and width: the median over
  seeds, the range that half of them lie in, and the last epoch that there is.
- `failed`: how many runs of each sweep and width failed, which, and how, perhaps in several ways.

`dimension` is 4/alpha. Where a number is missing, `status` says why.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby, product
from math import isnan, log
from statistics import geometric_mean
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.base.params import Fit
from stages.base.tables import spread, where
from stages.base.workers import Apply
from stages.manifold import samples, selection
from stages.statistics import irreducible, power_law, second
from stages.statistics.bootstrap import Resampling
from stages.statistics.estimate import OK
from stages.statistics.power_law import Law, Request, Sample

LOSSES = ["validation_loss", "train_loss"]
MEDIAN = 0.5
ALL = "all"  # widths
INCLUDED = "included"
MODELS = ["power_law", "irreducible_loss"]

_FIT = ["sweep", "metric", "epochs", "quantile", "failed"]
_RANGE = ["first_width", "last_width"]
_ALPHA = ["alpha", "alpha_low", "alpha_high"]
_SAME = 1e-6
"""The relative difference in alpha by which two exact solutions differ through rounding."""
_DIMENSION = ["dimension", "dimension_low", "dimension_high"]
_FLOOR = ["irreducible", "irreducible_low", "irreducible_high"]
_COUNTS = ["width_count", "runs", "rows", "status"]


@dataclass(frozen=True)
class Tables:
    """The tables that `fit` makes, and the headline numbers."""

    fits: pd.DataFrame
    sensitivity: pd.DataFrame
    local_slopes: pd.DataFrame
    best_epochs: pd.DataFrame
    failed: pd.DataFrame
    headline: dict[str, Any]  # by sweep; None where there is no number


class Spec(NamedTuple):
    """One fit: to what, and of which model."""

    sweep: str
    metric: str
    epochs: str
    failed: str
    quantile: float
    first_width: int
    last_width: int
    model: str

    def over(self, first: int, last: int) -> "Spec":
        """Return this fit over other widths, `first` to `last`."""
        return self._replace(first_width=first, last_width=last)


Row = tuple[dict[str, Any], Spec]  # a row of a table: what it says beside its fit, and the fit


class Sweep:
    """One sweep: `rows` of all runs; `kept`, the rows by what may be done with failed runs, one of
    `selection.FAILED`, as far as it makes a difference; `runs`, one row per run with its failures;
    `sizes`, N of every width, in order; and the `metrics` that can be fitted.
    """

    def __init__(self, name: str, rows: pd.DataFrame, failures: pd.DataFrame) -> None:
        sizes = rows[["width", "parameters"]].drop_duplicates().sort_values("width")
        self.name = name
        self.rows = rows
        self.metrics = selection.metrics(rows)
        self.runs = failures
        levels = [INCLUDED, *(["short_excluded"] if failures["short"].any() else []), "excluded"]
        self.kept = {failed: selection.sound(rows, failures, failed) for failed in levels}
        self.sizes = {int(width): int(n) for width, n in sizes.to_numpy()}

    def ranges(self, named: dict[str, list[int]]) -> dict[str, tuple[int, int]]:
        """First and last of all widths, and of the named ranges."""
        every = {ALL: (min(self.sizes), max(self.sizes))}
        return every | {name: (first, last) for name, (first, last) in named.items()}

    def base(self, metric: str, epochs: str) -> Spec:
        """The fit that others vary: the median over all widths and runs."""
        first, last = self.ranges({})[ALL]
        return Spec(self.name, metric, epochs, INCLUDED, MEDIAN, first, last, MODELS[0])


def fit(table: pd.DataFrame, params: Fit, apply: Apply = map) -> Tables:
    """All tables, from runs with the columns of `stages.cnn.part.SCHEMA`.

    `apply` is how to map a function over independent pieces of the work: an executor's `map`
    makes several at a time.
    """
    table = table.reset_index(drop=True)
    failures = selection.failures(table, params.failed_above)
    parts = [
        Sweep(str(name), rows, where(failures, sweep=name))
        for name, rows in table.groupby("sweep", observed=True)
    ]
    kinds = [_fits, _sensitivity, _local_slopes]
    rows = [[row for sweep in parts for row in kind(sweep, params)] for kind in kinds]
    laws = _solve({spec for part in rows for _, spec in part}, parts, params, apply)
    numbers = [*_ALPHA, *_DIMENSION]
    columns = [
        [*_FIT, "widths", *_RANGE, "slope", "amplitude", *numbers, "alpha_sklearn", *_COUNTS],
        ["factor", "level", *_FIT, "widths", *_RANGE, "model", *numbers, *_FLOOR, *_COUNTS],
        [*_FIT, *_RANGE, "parameters", *_ALPHA, *_COUNTS],
    ]
    fits, sensitivity, local_slopes = (
        _table(part, names, laws) for part, names in zip(rows, columns, strict=True)
    )
    headline = {sweep.name: _headline(sweep, laws, params) for sweep in parts}
    best = pd.concat([_best_epochs(sweep) for sweep in parts], ignore_index=True)
    return Tables(fits, sensitivity, local_slopes, best, _failed(failures), headline)


def _fits(sweep: Sweep, params: Fit) -> Iterator[Row]:
    ranges = sweep.ranges(params.widths | params.sensitivity.widths)
    for metric, epochs, quantile in product(sweep.metrics, params.epochs, params.quantiles):
        base = sweep.base(metric, epochs)._replace(quantile=quantile)
        for (name, ends), failed in product(ranges.items(), sweep.kept):
            yield {"widths": name}, base._replace(failed=failed).over(*ends)


def _sensitivity(sweep: Sweep, params: Fit) -> Iterator[Row]:
    ranges = sweep.ranges(params.widths | params.sensitivity.widths)
    single = [str(epoch) for epoch in sorted(set(sweep.rows["epoch"]))]

    def row(factor: str, level: object, spec: Spec, widths: str = ALL) -> Row:
        return {"factor": factor, "level": str(level), "widths": widths}, spec

    for metric in LOSSES:
        for epochs in params.epochs:
            yield row("epochs", epochs, sweep.base(metric, epochs))
        for epoch in single:
            yield row("epoch", epoch, sweep.base(metric, epoch))
        for epochs in params.epochs:
            base = sweep.base(metric, epochs)
            for quantile in params.quantiles:
                yield row("quantile", quantile, base._replace(quantile=quantile))
            for name, ends in ranges.items():
                yield row("widths", name, base.over(*ends), name)
            for failed in sweep.kept:
                yield row("failed", failed, base._replace(failed=failed))
            if epochs != "pooled":
                yield row("model", MODELS[0], base)
                labels, spec = row("model", MODELS[1], base._replace(model=MODELS[1]))
                yield labels | {"quantile": None}, spec  # a robust mean


def _local_slopes(sweep: Sweep, params: Fit) -> Iterator[Row]:
    widths, length = list(sweep.sizes), params.sensitivity.window
    windows = [widths[i : i + length] for i in range(len(widths) - length + 1)]
    for metric, epochs, window in product(LOSSES, params.epochs, windows):
        middle = geometric_mean([sweep.sizes[width] for width in window])
        yield {"parameters": middle}, sweep.base(metric, epochs).over(window[0], window[-1])


def _solve(specs: Iterable[Spec], parts: list[Sweep], params: Fit, apply: Apply) -> dict[Spec, Law]:
    """Every fit, made once; those to the same rows share the work that they can."""
    by_name = {sweep.name: sweep for sweep in parts}
    whole = {
        (sweep.name, failed)
        for sweep in parts
        for failed, rows in sweep.kept.items()
        if len(rows) == len(sweep.rows)
    }
    same = {s: s._replace(failed=INCLUDED) if (s.sweep, s.failed) in whole else s for s in specs}
    groups: dict[tuple[str, str, str], list[Spec]] = defaultdict(list)
    for spec in sorted(set(same.values())):
        groups[spec.sweep, spec.epochs, spec.failed].append(spec)
    # the fits to all epochs take longest, and so come first
    order = sorted(groups, key=lambda group: group[1] != "pooled")
    tasks = [
        (selection.choose(by_name[name].kept[failed], epochs), groups[name, epochs, failed], params)
        for name, epochs, failed in order
    ]
    laws: dict[Spec, Law] = {}
    for part in apply(_laws, tasks):
        laws |= part
    return {spec: laws[other] for spec, other in same.items()}


def _laws(task: tuple[pd.DataFrame, list[Spec], Fit]) -> dict[Spec, Law]:
    rows, specs, params = task
    resampling = Resampling(params.confidence, params.resamples, params.seed)
    run = selection.run_of(rows)
    laws: dict[Spec, Law] = {}
    for metric, group in groupby(specs, key=lambda spec: spec.metric):
        sample = samples.sample(rows, metric, run)
        requests = {}
        for spec in group:
            first, last = spec.first_width, spec.last_width
            if spec.model == MODELS[0]:
                requests[spec] = Request(spec.quantile, first, last)
            else:
                huber = params.sensitivity.huber
                laws[spec] = irreducible.fit(sample, first, last, resampling, huber)
        fitted = power_law.fit(sample, requests.values(), resampling)
        laws |= {
            spec: _checked(fitted[request], sample, spec, params)
            for spec, request in requests.items()
        }
    return laws


def _checked(law: Law, sample: Sample, spec: Spec, params: Fit) -> Law:
    """The law, solved by scikit-learn as well where it is a headline's."""
    pooled = spec.epochs == "pooled" and spec.metric != LOSSES[0]
    other = spec.quantile != MEDIAN or spec.failed != INCLUDED or spec.epochs.isdecimal()
    if pooled or other or isnan(law.slope):
        return law
    every = [int(sample.width.min()), int(sample.width.max())]
    if [spec.first_width, spec.last_width] not in [every, *params.widths.values()]:
        return law
    rows = sample.inside(spec.first_width, spec.last_width)
    x, y = np.log(sample.parameters[rows]), np.log(sample.value[rows])
    slope, _ = second.line(x, y, spec.quantile, law.slope, log(law.amplitude))
    apart = abs(slope - law.slope) - law.flat / 2
    remark = f"scikit-learn differs: slope {slope:.6g}" if apart > _SAME * abs(law.slope) else ""
    status = "; ".join(said for said in (law.status.removeprefix(OK), remark) if said) or OK
    return replace(law, status=status, alpha_sklearn=slope if sample.grows else -slope)


def _table(rows: list[Row], columns: list[str], laws: dict[Spec, Law]) -> pd.DataFrame:
    records = [spec._asdict() | labels | _numbers(laws[spec]) for labels, spec in rows]
    return pd.DataFrame(records, columns=columns)


def _numbers(law: Law) -> dict[str, Any]:
    return asdict(law) | {name: getattr(law, name) for name in _DIMENSION}


def _failed(failures: pd.DataFrame) -> pd.DataFrame:
    kinds = [*selection.FAILURES]

    def one(runs: pd.DataFrame) -> pd.Series:
        failed = runs[runs[kinds].any(axis=1)]
        counts = {"runs": len(runs), "failed": len(failed)} | failed[kinds].sum().to_dict()
        return pd.Series(counts | {"seeds": " ".join(map(str, failed["seed"]))})

    groups = failures.groupby(["sweep", "width"], observed=True)
    return groups[["seed", *kinds]].apply(one).reset_index()


def _best_epochs(sweep: Sweep) -> pd.DataFrame:
    parts = []
    for stop in selection.STOPS:
        by_width = selection.choose(sweep.rows, stop).groupby(["width", "parameters"])["epoch"]
        parts.append(spread(by_width, median=0.5, low=0.25, high=0.75).assign(epochs=stop))
    table = pd.concat(parts).assign(sweep=sweep.name, last=sweep.rows["epoch"].max())
    columns = ["sweep", "epochs", "width", "parameters", "median", "low", "high", "last"]
    return table[columns]


def _headline(sweep: Sweep, laws: dict[Spec, Law], params: Fit) -> dict[str, Any]:
    """The numbers to watch: medians of the validation loss, and median fits over all of it."""
    metric = LOSSES[0]
    fitted, median = {}, {}
    for epochs in params.epochs:
        numbers = _numbers(laws[sweep.base(metric, epochs)])
        fitted[epochs] = {name: _shown(numbers[name]) for name in ["alpha", *_DIMENSION]}
        rows = selection.choose(sweep.rows, epochs)
        median[epochs] = _shown(rows.loc[rows["width"] == params.compare_width, metric].median())
    return {
        "runs": len(sweep.runs),
        "failed": int(sweep.runs[[*selection.FAILURES]].any(axis=1).sum()),
        metric: fitted,
        f"{metric}_at_width_{params.compare_width}": median,
    }


def _shown(number: float) -> float | None:
    return None if isnan(number) else float(f"{number:.4g}")
