"""Power laws of multitask sparse parity: Michaud et al. (2023), Figures 2 and 10.

One figure has the mean loss against parameters N, steps S and samples D: above, the configurations
that stand for the paper's Figure 2 with its points, below those of Figure 10 by alpha. The other
has the exponents against alpha, beside theory, the published, and what a finite number of tasks
makes of theory.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from stages.base.params import Michaud, ParityConfiguration, ParityVerdict, Plot, Quanta
from stages.base.tables import spaced, spread, where
from stages.drawing import style
from stages.drawing.parity import Drawn, missing
from stages.drawing.style import BLUE, INK, PURPLE, End, Look
from stages.parity.tasks import frequencies
from stages.quanta import theory
from stages.quanta.fits import BIT, widest
from stages.quanta.theory import RESOURCES, Resource

WORDS: dict[Resource, str] = {
    "N": "Parameters N",
    "S": "Optimizer steps S",
    "D": "Training samples D",
}
NEEDED: dict[Resource, str] = {
    "N": "three widths",
    "S": "a run on fresh samples",
    "D": "three training sets",
}
POINTS = 60  # points of a curve that are drawn
PUBLISHED = "published"


def series(tables: Drawn, plot: Plot, published: Michaud) -> dict[Resource, pd.DataFrame]:
    """Median loss (bits) over seeds against each resource, with its band.

    Columns series, size, loss, low, high. The last series is the published one, where there is.
    """
    by_n, by_d = published.loss_by_parameters, published.loss_by_samples
    theirs: dict[Resource, Look] = {
        "N": {"size": by_n.parameters, "loss": by_n.loss},
        "D": {"size": by_d.samples, "loss": by_d.loss},
    }
    found: dict[Resource, pd.DataFrame] = {}
    for resource in RESOURCES:
        parts = []
        for name in tables.runs["configuration"].unique():
            by_size = _losses(tables, str(name), resource).groupby("size")["loss"]
            medians = spread(by_size, loss=0.5, low=plot.band[0], high=plot.band[1])
            parts.append(medians.assign(series=name))
        if resource in theirs:
            points = pd.DataFrame(theirs[resource], dtype=float)
            parts.append(points.assign(series=PUBLISHED, low=points["loss"], high=points["loss"]))
        kept = pd.concat([part for part in parts if len(part)], ignore_index=True)
        found[resource] = kept[["series", "size", "loss", "low", "high"]]
    return found


def _losses(tables: Drawn, name: str, resource: Resource) -> pd.DataFrame:
    """Size and loss (bits) of each run, or of each evaluation of the widest networks."""
    runs = where(tables.runs, configuration=name)
    if resource == "N":
        rows, size, loss = where(runs, samples=0), "parameters", "final_loss"
    elif resource == "D":
        rows, size, loss = widest(runs[runs["samples"] > 0]), "samples", "best_loss"
    else:
        rows, size, loss = widest(where(tables.losses, configuration=name, samples=0)), "step", ""
        rows = rows[rows["step"].isin(spaced(rows["step"], POINTS))]
    values = rows[loss] if loss else rows["mean_loss"].astype(float) / BIT
    return pd.DataFrame({"size": rows[size], "loss": values})


@style.drawing()
def scaling(
    tables: Drawn,
    drawn: dict[Resource, pd.DataFrame],
    configurations: dict[str, ParityConfiguration],
    plot: Plot,
    published: Michaud,
    rules: ParityVerdict,
) -> Figure:
    """Two rows of panels, one for each resource: Figure 2, and the configurations by alpha."""
    chosen: dict[Resource, str] = {"N": rules.widths, "S": rules.widths, "D": rules.samples}
    family = by_alpha(configurations, rules)
    ends: dict[Axes, list[End]] = {}
    figure, panels = style.panels(2, 3, plot.width, 0.85 * plot.width)
    for (above, below), resource in zip(panels.T, RESOURCES, strict=True):
        rows = drawn[resource]
        fits = where(tables.exponents, exponent=resource)
        name = chosen[resource]
        if name in configurations and (rows["series"] == name).any():
            _axes(above, resource)
            _single(above, where(rows, series=name), where(fits, configuration=name).iloc[0])
            theirs = where(rows, series=PUBLISHED)
            look: Look = {"color": PURPLE, "mfc": "none", "ms": 5, "label": PUBLISHED}
            if len(theirs):
                above.plot(theirs["size"], theirs["loss"], "D", **look)
            above.legend(fontsize="small", loc="lower left")
            above.set_title(name, loc="left")
        else:
            missing(above, f"Not trained:\nconfiguration {name}\nis not in params.yaml.")
        there = {n: alpha for n, alpha in family.items() if (rows["series"] == n).any()}
        if there:
            _axes(below, resource)
            ends[below] = _many(below, rows, fits, there, "-" if resource == "S" else "o")
        else:
            needed = f"configurations {rules.exponents}*\nwith {NEEDED[resource]}"
            missing(below, f"Not trained:\n{needed}.")
    for axes in panels[:, 0]:
        axes.set_ylabel("Mean loss (bits)")
    style.name_ends(figure, ends)
    return figure


def by_alpha(
    configurations: dict[str, ParityConfiguration], rules: ParityVerdict
) -> dict[str, float]:
    """alpha of the configurations that stand for Figure 10's, rising."""
    named = {n: c.alpha for n, c in configurations.items() if n.startswith(rules.exponents)}
    return dict(sorted(named.items(), key=lambda item: item[1]))


def _axes(axes: Axes, resource: Resource) -> None:
    style.plain_log_axis(axes, "x", subs=(1.0,))
    style.plain_log_axis(axes, "y")
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{x / 1e6:g} million" if x >= 1e6 else f"{x:,.0f}")
    )
    axes.set_xlabel(WORDS[resource])


def _line(axes: Axes, fit: pd.Series, slope: float, line: str, **look: Any) -> None:
    """A power law over the range of a fit, from where that begins; none where there is no fit."""
    if np.isfinite(fit["value"]):
        span = np.array([fit["first"], fit["last"]])
        axes.plot(span, fit["loss"] * (span / span[0]) ** -slope, line, **look)


def _single(axes: Axes, rows: pd.DataFrame, fit: pd.Series) -> None:
    low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
    axes.fill_between(rows["size"], low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(rows["size"], rows["loss"], "o", color=BLUE, ms=3)
    for name, colour, dashes, words in [
        ("value", BLUE, "-", "ours"),
        ("theory", INK, "--", "theory"),
    ]:
        _line(axes, fit, fit[name], dashes, color=colour, label=f"{fit[name]:.3f}: {words}")


def _many(
    axes: Axes, rows: pd.DataFrame, fits: pd.DataFrame, family: dict[str, float], marker: str
) -> list[End]:
    """Returns where the lines end."""
    ends: list[End] = []
    for (name, alpha), colour in zip(family.items(), style.sequence(len(family)), strict=True):
        size, loss = (where(rows, series=name)[column] for column in ("size", "loss"))
        axes.plot(size, loss, marker, color=colour, ms=2.5, lw=1)
        fit = where(fits, configuration=name).iloc[0]
        _line(axes, fit, fit["value"], "-", color=colour, lw=1)
        ends.append(((float(size.iloc[-1]), float(loss.iloc[-1])), f"{alpha:g}", colour))
    axes.set_title("by alpha, with fits", loc="left")
    return ends


def _references(resource: Resource, published: Michaud, rules: Quanta) -> pd.DataFrame:
    """What ours stand beside, by `alpha`: what is published, theory, and theory for few tasks."""
    alphas, few = published.exponents.alpha, f"theory for {published.tasks} tasks"
    rates = [frequencies(published.tasks, alpha) for alpha in alphas]
    return pd.DataFrame(
        {
            "alpha": alphas,
            PUBLISHED: getattr(published.exponents, resource),
            "theory": [theory.theory(resource, alpha) for alpha in alphas],
            few: [
                theory.finite(resource, alpha, of, *rules.finite_tasks)
                for alpha, of in zip(alphas, rates, strict=True)
            ],
        }
    )


def exponent_series(
    tables: Drawn, rules: Quanta, published: Michaud, family: dict[str, float]
) -> pd.DataFrame:
    """Exponents against alpha: ours, published, theory, theory with a finite number of tasks.

    Columns series, alpha, value, low, high. `alpha_N` and so on are of the configurations of
    `family`; others carry their configuration in the name.
    """
    parts = []
    for resource in RESOURCES:
        rows = where(tables.exponents, exponent=resource).dropna(subset="value")
        own = rows["configuration"].isin(family)
        names = np.where(own, f"alpha_{resource}", f"alpha_{resource}, " + rows["configuration"])
        ours = rows[["alpha", "value", "low", "high"]].assign(series=names, own=own)
        parts.append(ours.sort_values(["own", "series", "alpha"], ascending=[False, True, True]))
        theirs = _references(resource, published, rules).melt("alpha", var_name="series")
        named = f"alpha_{resource}, " + theirs["series"]
        parts.append(theirs.assign(series=named, low=theirs["value"], high=theirs["value"]))
    filled = [part for part in parts if len(part)]
    return pd.concat(filled)[["series", "alpha", "value", "low", "high"]]


@style.drawing()
def exponents(
    tables: Drawn,
    configurations: dict[str, ParityConfiguration],
    plot: Plot,
    published: Michaud,
    rules: Quanta,
    family: dict[str, float],
) -> Figure:
    """A panel for each exponent against alpha, and one for the sums that bias them.

    `family` names the configurations that stand for Figure 10's; others with as many tasks are
    drawn hollow.
    """
    figure, panels = style.panels(2, 2, plot.width, 0.9 * plot.width)
    alike = [n for n, c in configurations.items() if c.tasks == published.tasks]
    there = tables.exponents[tables.exponents["configuration"].isin(alike)].dropna(subset="value")
    for axes, resource in zip(panels.flat, RESOURCES, strict=False):
        theirs = _references(resource, published, rules)
        alphas, few = theirs["alpha"], theirs.columns[-1]
        axes.plot(alphas, theirs["theory"], "--", color=INK, label="theory")
        axes.plot(alphas, theirs[few], "-.", color=style.VERMILION, label=few)
        axes.plot(alphas, theirs[PUBLISHED], "D", color=PURPLE, mfc="none", label=PUBLISHED)
        rows = where(there, exponent=resource)
        for row in rows.to_dict("records"):
            x, fill = row["alpha"], BLUE if row["configuration"] in family else "none"
            if np.isfinite(row["low"]):
                axes.plot([x, x], [row["low"], row["high"]], color=BLUE, lw=1.2)
            axes.plot(x, row["value"], "o", color=BLUE, ms=5, mfc=fill)
        if rows.empty:
            needs = f"(needs {NEEDED[resource]},\n{published.tasks} tasks)"
            look: Look = {"transform": axes.transAxes, "ha": "right", "fontsize": "small"}
            axes.text(0.97, 0.05, f"ours: not trained\n{needs}", **look)
        else:
            axes.plot([], [], "o", color=BLUE, label="ours")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("alpha of the tasks' frequencies")
        axes.set_ylabel(f"alpha_{resource}")
    panels[0, 0].legend(fontsize="small", loc="upper left")
    style.name_ends(figure, {panels[1, 1]: _sums(panels[1, 1], published, rules)})
    return figure


def _sums(axes: Axes, published: Michaud, rules: Quanta) -> list[End]:
    """Returns where the lines end."""
    first, last = rules.finite_tasks
    alphas = published.exponents.alpha
    shown = [alphas[0], alphas[len(alphas) // 2 - 1], alphas[-1]]
    style.plain_log_axis(axes, "x")
    style.plain_log_axis(axes, "y")
    ends: list[End] = []
    n, span = np.arange(1, last + 1), np.array([first, last])
    for alpha, colour in zip(shown, style.sequence(len(shown)), strict=True):
        rates = frequencies(published.tasks, alpha)
        sums = theory.unlearned(rates)[n]
        axes.plot(n, sums, color=colour)
        axes.plot(span, sums[first - 1] * (span / first) ** -alpha, "--", color=colour, lw=1)
        slope = theory.finite_slope(rates, first, last)
        ends.append(((float(last), float(sums[-1])), f"{alpha:g}: slope {slope:.3f}", colour))
    axes.set_xlim(1, last)
    axes.set_ylim(0.6 * min(y for (_, y), _, _ in ends), 1.2)
    axes.set_title("sum of p over tasks k > n; dashed: n^−alpha", loc="left")  # noqa: RUF001
    axes.set_xlabel("n tasks learned")
    return ends
