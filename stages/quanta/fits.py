"""What is fitted to the runs of multitask sparse parity, as tables.

Reads the tables of `stages.parity.part.SCHEMAS`, whose losses are in nats. What comes out is in
bits, as the paper has it: a task that is not learned costs 1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import isfinite, log, nan
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.base.params import Definition, Michaud, ParityConfiguration, Quanta
from stages.base.tables import where
from stages.parity.plan import parameters
from stages.quanta import emergence, theory
from stages.quanta.emergence import KINDS, LEARNED, Kind, Law, Times
from stages.quanta.exponents import Exponent, by_parameters, by_samples, by_steps
from stages.statistics.bootstrap import Resampling
from stages.statistics.estimate import OK

BIT = log(2)  # nats
STEEPER = 1.1
"""Ratio of slopes. In simulation a second half of the steps made it 1.1 to 1.3 where networks had
no room for the tasks that were left, and 0.92 to 1.05 where they had."""
SOME = 2  # overdue tasks that are no sign of anything
RUN = ["configuration", "width", "samples", "seed"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Family:
    """The runs of one configuration."""

    name: str
    configuration: ParityConfiguration
    frequencies: Floats  # of its tasks
    losses: pd.DataFrame
    tasks: pd.DataFrame

    @property
    def widest(self) -> pd.DataFrame:
        """When the widest networks on fresh samples learned each task: rows of `tasks`."""
        return widest(where(self.tasks, samples=0))

    def times(self, definition: Definition) -> Times:
        """Return `widest` as times to fit: a task is learned between two evaluations."""
        rows, c = self.widest, self.configuration
        by = np.array(rows[LEARNED[definition]].astype(float).fillna(np.inf), np.float64)
        return Times(
            seed=rows["seed"].to_numpy(np.int64),
            frequency=self.frequencies[rows["task"].to_numpy(np.int64) - 1],
            after=np.where(np.isinf(by), c.steps, by - c.evaluate_every),
            by=by,
        )

    @property
    def curves(self) -> tuple[Floats, Floats]:
        """The mean losses (bits) of the widest networks on fresh samples, and at which steps.

        (evaluations,) and (seeds, evaluations).
        """
        rows = widest(where(self.losses, samples=0))
        table = rows.pivot(index="seed", columns="step", values="mean_loss")
        return table.columns.to_numpy(np.float64), table.to_numpy(np.float64) / BIT


def widest(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the widest networks."""
    return where(rows, width=rows["width"].max())


def families(
    losses: pd.DataFrame,
    tasks: pd.DataFrame,
    configurations: Mapping[str, ParityConfiguration],
    frequencies: Mapping[str, Floats],
) -> list[Family]:
    """The configurations' rows of both tables.

    Raises:
        ValueError: there are none of some configuration.
    """
    found = []
    for name, configuration in configurations.items():
        own = (where(table, configuration=name) for table in (losses, tasks))
        family = Family(name, configuration, frequencies[name], *own)
        if family.losses.empty or family.tasks.empty:
            raise ValueError(f"no rows of configuration {name}")
        found.append(family)
    return found


def final_losses(family: Family) -> pd.DataFrame:
    """A row for each run: its losses at the end and at best, and how many tasks it learned."""
    rows = family.losses.sort_values([*RUN[1:], "step"])
    by_run = rows.groupby(RUN[1:], sort=True)
    last = by_run.tail(1).set_index(RUN[1:])
    smallest = rows.loc[by_run["mean_loss"].idxmin()].set_index(RUN[1:])
    learned = family.tasks.groupby(RUN[1:])["learned"].count()
    columns = {
        "steps": last["step"],
        "final_loss": last["mean_loss"].astype(float) / BIT,
        "best_loss": smallest["mean_loss"].astype(float) / BIT,
        "best_step": smallest["step"],
    }
    tasks = family.configuration.tasks
    table = pd.DataFrame(columns).assign(learned=learned, tasks=tasks).reset_index()
    table.insert(0, "configuration", family.name)
    sizes = {width: parameters(family.configuration, int(width)) for width in set(table["width"])}
    table.insert(2, "parameters", table["width"].map(sizes))
    return table


def exponents(
    table: pd.DataFrame, family: Family, rules: Quanta, published: Michaud
) -> pd.DataFrame:
    """A row for each exponent, beside theory's, that of as few tasks, and the published one.

    `table` is `runs(family)`.
    """
    alpha, first, last = family.configuration.alpha, *rules.finite_tasks
    rows = []
    for resource, found in _exponents(table, family, rules):
        points = published.exponents.model_dump()
        known = dict(zip(points["alpha"], points[resource], strict=True))
        alike = family.configuration.tasks == published.tasks
        labels = {"configuration": family.name, "alpha": alpha, "exponent": resource}
        beside = {
            "theory": theory.theory(resource, alpha),
            "finite": theory.finite(resource, alpha, family.frequencies, first, last),
            "published": known.get(alpha, nan) if alike else nan,
        }
        rows.append(labels | asdict(found) | beside)
    return pd.DataFrame(rows)


def _exponents(
    table: pd.DataFrame, family: Family, rules: Quanta
) -> Iterator[tuple[theory.Resource, Exponent]]:
    resampling = Resampling(rules.confidence, rules.resamples, rules.seed)
    fresh, limited = where(table, samples=0), widest(table[table["samples"] > 0])
    n, final = fresh[["parameters", "final_loss"]].to_numpy(np.float64).T
    yield "N", by_parameters(n, final, resampling)
    steps, curves = family.curves
    first, last = rules.steps
    yield "S", by_steps(steps, curves, first, last, resampling)
    d, best = limited[["samples", "best_loss"]].to_numpy(np.float64).T
    yield "D", by_samples(d, best, rules.samples_below, resampling)


def laws(family: Family, rules: Quanta) -> pd.DataFrame:
    """A row for each definition of learning times, those of the widest networks, and way to fit.

    The fit to all tasks is doubtful, and its status says so, where censored tasks are overdue by
    the law of those that all seeds learned, or where runs of half as many steps would have had a
    much flatter slope: what is censored then is not merely late.
    """
    resampling = Resampling(rules.confidence, rules.resamples, rules.seed)
    c = family.configuration
    head = {"configuration": family.name, "alpha": c.alpha, "width": max(c.widths)}
    rows = []
    for definition in LEARNED:
        for kind, law in _laws(family.times(definition), c.steps, resampling).items():
            rows.append(head | {"definition": definition, "tasks": kind} | asdict(law))
    return pd.DataFrame(rows)


def _laws(times: Times, steps: int, resampling: Resampling) -> dict[Kind, Law]:
    found = {kind: emergence.law(times, kind, resampling) for kind in KINDS}
    whole = found["all"]
    overdue = emergence.overdue(times, found["complete"])
    before = emergence.slope(times.at(steps / 2), "all")
    doubt = ""
    if overdue > SOME:
        doubt = f"{overdue} censored tasks are overdue, perhaps for want of room"
    elif whole.slope < STEEPER * before:
        doubt = f"half the steps would have given {before:.2f}"
    if doubt and whole.status == OK:
        found["all"] = replace(whole, status=f"doubtful: {doubt}")
    return found


def horizons(family: Family, rules: Quanta) -> pd.DataFrame:
    """The slope of learning times as it would have been, had the runs ended earlier.

    It shows what the restriction to learned tasks does: the shorter a run, the nearer to 0 is the
    slope of least squares, while the censored fit stays where it is if its law holds.
    """
    rows = []
    for definition in LEARNED:
        times, end = family.times(definition), family.configuration.steps
        if times.censored.all():
            continue
        ends = np.unique(np.rint(np.geomspace(times.by.min(), end, rules.horizons)))
        for step, kind in product(ends, KINDS):
            known = times.at(float(step))
            learned = int(np.count_nonzero(~known.censored))
            slope = emergence.slope(known, kind)
            rows.append((family.name, definition, int(step), kind, learned, slope))
    columns = ["configuration", "definition", "step", "tasks", "learned", "slope"]
    return pd.DataFrame(rows, columns=columns)


def sharpness(family: Family) -> tuple[float, float]:
    """By which factor the steps grow while a loss falls from 0.9 bit to `learned_below`.

    The median over the tasks learned by the widest networks; and for their mean loss, which may
    not have come down by the end, at least. NaN where nothing fell.
    """
    rows = family.widest.dropna(subset=["learned", "began"])
    ratios = (rows["learned"] / rows["began"]).astype(float)
    steps, curves = family.curves
    high = curves >= 0.9
    began = np.where(high.any(axis=1), steps[high.shape[1] - 1 - high[:, ::-1].argmax(axis=1)], nan)
    above = curves >= family.configuration.learned_below
    end = steps[np.minimum(above.shape[1] - above[:, ::-1].argmax(axis=1), len(steps) - 1)]
    task = float(ratios.median()) if len(ratios) else nan
    means = (end / began)[np.isfinite(began)]
    return task, float(np.median(means)) if len(means) else nan


def headline(family: Family, exponents: pd.DataFrame, laws: pd.DataFrame) -> dict[str, Any]:
    """The few numbers that a reader wants first; None where one cannot be had.

    By each definition, learned and censored tasks, and the slope of learning times with the
    censored ones and without; sharpness of tasks and of their mean; the exponents that there are.
    """
    of_learning = {}
    for definition, rows in laws.groupby("definition", sort=False):
        by_kind = rows.set_index("tasks")
        of_learning[str(definition)] = {
            "learned": int(by_kind["learned"]["all"]),
            "censored": int(by_kind["censored"]["all"]),
            "slope": _known(by_kind["slope"]["all"]),
            "slope_of_learned": _known(by_kind["slope"]["learned"]),
        }
    task, mean = sharpness(family)
    there = exponents[np.isfinite(exponents["value"])]
    falls = {"fall_of_a_task": _known(task), "fall_of_the_mean": _known(mean)}
    alphas = {f"alpha_{row['exponent']}": _known(row["value"]) for _, row in there.iterrows()}
    return of_learning | falls | alphas


def _known(value: float) -> float | None:
    """The value, to five digits, or None if it is not finite."""
    return float(f"{value:.5g}") if isfinite(value) else None
