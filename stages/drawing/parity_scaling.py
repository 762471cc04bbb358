"""Power laws of multitask sparse parity: Michaud et al. (2023), Figures 2 and 10.

One figure has the mean loss against parameters N, steps S and samples D: above, the configurations
that stand for the paper's Figure 2 with its points, below those of Figure 10 by alpha. The other
has the exponents against alpha, beside theory, the published, and what a finite number of tasks
makes of theory.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from stages.base.params import Michaud, ParityConfiguration, ParityVerdict, Plot, Quanta
from stages.drawing import style
from stages.drawing.parity import Drawn, missing, spaced
from stages.drawing.style import INK
from stages.parity.tasks import frequencies
from stages.quanta import theory
from stages.quanta.fits import BIT
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
POINTS = 60
"""Points of a curve that are drawn."""
PUBLISHED = "published"

_Ends = tuple[list[tuple[float, float]], list[str], list[str]]


def series(tables: Drawn, plot: Plot, published: Michaud) -> dict[Resource, pd.DataFrame]:
    """Median loss (bits) over seeds against each resource, with its band.

    Columns series, size, loss, low, high. The last series is the published one, where there is.
    """
    found: dict[Resource, pd.DataFrame] = {}
    for resource in RESOURCES:
        parts = []
        for name in tables.runs["configuration"].unique():
            by_size = _losses(tables, str(name), resource).groupby("size")["loss"]
            low, high = (by_size.quantile(quantile) for quantile in plot.band)
            medians = pd.DataFrame({"loss": by_size.median(), "low": low, "high": high})
            parts.append(medians.reset_index())
            parts[-1].insert(0, "series", name)
        points = pd.DataFrame(_published(resource, published), columns=["size", "loss"])
        parts.append(points.assign(series=PUBLISHED, low=points["loss"], high=points["loss"]))
        found[resource] = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return found


def _losses(tables: Drawn, name: str, resource: Resource) -> pd.DataFrame:
    """Size and loss (bits) of each run, or of each evaluation of the widest networks."""
    runs = tables.runs[tables.runs["configuration"] == name]
    fresh, limited = runs[runs["samples"] == 0], runs[runs["samples"] > 0]
    if resource == "N":
        return pd.DataFrame({"size": fresh["parameters"], "loss": fresh["final_loss"]})
    if resource == "D":
        limited = limited[limited["width"] == limited["width"].max()]
        return pd.DataFrame({"size": limited["samples"], "loss": limited["best_loss"]})
    losses = tables.losses
    rows = losses[
        (losses["configuration"] == name)
        & (losses["samples"] == 0)
        & (losses["width"] == fresh["width"].max())
    ]
    rows = rows[rows["step"].isin(spaced(rows["step"], POINTS))]
    return pd.DataFrame({"size": rows["step"], "loss": rows["mean_loss"].astype(float) / BIT})


def _published(resource: Resource, published: Michaud) -> list[tuple[float, float]]:
    if resource == "N":
        points = published.loss_by_parameters
        return list(zip(map(float, points.parameters), points.loss, strict=True))
    if resource == "D":
        sizes = published.loss_by_samples
        return list(zip(map(float, sizes.samples), sizes.loss, strict=True))
    return []


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
    ends: list[tuple[Axes, _Ends]] = []
    with style.drawing():
        figure, panels = plt.subplots(2, 3, figsize=(plot.width, 0.85 * plot.width))
        for (above, below), resource in zip(panels.T, RESOURCES, strict=True):
            rows = drawn[resource]
            name = chosen[resource]
            if name in configurations and (rows["series"] == name).any():
                _single(above, rows, tables.exponents, name, resource)
                theirs = rows[rows["series"] == PUBLISHED]
                look = {"color": style.PURPLE, "mfc": "none", "ms": 5, "label": PUBLISHED}
                if len(theirs):
                    above.plot(theirs["size"], theirs["loss"], "D", **look)
                above.legend(fontsize="small", loc="lower left")
                above.set_title(name, loc="left")
            else:
                missing(above, f"Not trained:\nconfiguration {name}\nis not in params.yaml.")
            there = [n for n in family if (rows["series"] == n).any()]
            if there:
                drawn_family = {n: family[n] for n in there}
                ends.append((below, _many(below, rows, tables.exponents, drawn_family, resource)))
            else:
                needed = f"configurations {rules.exponents}*\nwith {NEEDED[resource]}"
                missing(below, f"Not trained:\n{needed}.")
        for axes in panels[:, 0]:
            axes.set_ylabel("Mean loss (bits)")
        figure.draw_without_rendering()
        for axes, (points, texts, colours) in ends:
            style.label_ends(axes, points, texts, colours)
        plt.close(figure)
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


def _fit(exponents: pd.DataFrame, name: str, resource: Resource) -> pd.Series:
    rows = exponents[(exponents["configuration"] == name) & (exponents["exponent"] == resource)]
    return rows.iloc[0]


def _single(
    axes: Axes, rows: pd.DataFrame, exponents: pd.DataFrame, name: str, resource: Resource
) -> None:
    _axes(axes, resource)
    ours = rows[rows["series"] == name]
    low, high = ours["low"].to_numpy(float), ours["high"].to_numpy(float)
    axes.fill_between(ours["size"], low, high, color=style.BLUE, alpha=0.2, linewidth=0)
    axes.plot(ours["size"], ours["loss"], "o", color=style.BLUE, ms=3)
    fit = _fit(exponents, name, resource)
    if np.isfinite(fit["value"]):
        span = np.array([fit["first"], fit["last"]])
        for slope, colour, dashes, words in [
            (fit["value"], style.BLUE, "-", "ours"),
            (fit["theory"], INK, "--", "theory"),
        ]:
            loss = fit["loss"] * (span / span[0]) ** -slope
            axes.plot(span, loss, dashes, color=colour, label=f"{slope:.3f}: {words}")


def _many(
    axes: Axes,
    rows: pd.DataFrame,
    exponents: pd.DataFrame,
    family: dict[str, float],
    resource: Resource,
) -> _Ends:
    """Returns where the lines end, their names and colours."""
    _axes(axes, resource)
    ends, texts, colours = [], [], style.sequence(len(family))
    for (name, alpha), colour in zip(family.items(), colours, strict=True):
        ours = rows[rows["series"] == name]
        marker = "-" if resource == "S" else "o"
        axes.plot(ours["size"], ours["loss"], marker, color=colour, ms=2.5, lw=1)
        fit = _fit(exponents, name, resource)
        if np.isfinite(fit["value"]):
            span = np.array([fit["first"], fit["last"]])
            axes.plot(span, fit["loss"] * (span / span[0]) ** -fit["value"], color=colour, lw=1)
        ends.append((float(ours["size"].iloc[-1]), float(ours["loss"].iloc[-1])))
        texts.append(f"{alpha:g}")
    axes.set_title("by alpha, with fits", loc="left")
    return ends, texts, colours


def exponent_series(
    tables: Drawn, rules: Quanta, published: Michaud, family: dict[str, float]
) -> pd.DataFrame:
    """Exponents against alpha: ours, published, theory, theory with a finite number of tasks.

    Columns series, alpha, value, low, high. `alpha_N` and so on are of the configurations of
    `family`; others carry their configuration in the name.
    """
    parts = []
    theirs = pd.DataFrame(published.exponents.model_dump())
    for resource in RESOURCES:
        rows = tables.exponents[tables.exponents["exponent"] == resource].dropna(subset="value")
        own = rows["configuration"].isin(family)
        names = np.where(own, f"alpha_{resource}", f"alpha_{resource}, " + rows["configuration"])
        ours = rows[["alpha", "value", "low", "high"]].assign(series=names, own=own)
        parts.append(ours.sort_values(["own", "series", "alpha"], ascending=[False, True, True]))
        few = [
            theory.finite(resource, alpha, frequencies(published.tasks, alpha), *rules.finite_tasks)
            for alpha in theirs["alpha"]
        ]
        for words, values in {
            "published": theirs[resource],
            "theory": [theory.theory(resource, alpha) for alpha in theirs["alpha"]],
            f"theory for {published.tasks} tasks": few,
        }.items():
            lines = {"series": f"alpha_{resource}, {words}", "alpha": theirs["alpha"]}
            parts.append(pd.DataFrame(lines | dict.fromkeys(["value", "low", "high"], values)))
    filled = [part for part in parts if len(part)]
    return pd.concat(filled)[["series", "alpha", "value", "low", "high"]]


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
    with style.drawing():
        figure, panels = plt.subplots(2, 2, figsize=(plot.width, 0.9 * plot.width))
        for axes, resource in zip(panels.flat, RESOURCES, strict=False):
            _exponent(axes, tables.exponents, configurations, published, rules, family, resource)
        panels[0, 0].legend(fontsize="small", loc="upper left")
        _sums(panels[1, 1], published, rules)
        plt.close(figure)
    return figure


def _exponent(
    axes: Axes,
    table: pd.DataFrame,
    configurations: dict[str, ParityConfiguration],
    published: Michaud,
    rules: Quanta,
    family: dict[str, float],
    resource: Resource,
) -> None:
    theirs = published.exponents.model_dump()
    alphas = np.array(theirs["alpha"])
    axes.plot(alphas, [theory.theory(resource, a) for a in alphas], "--", color=INK, label="theory")
    finite = [
        theory.finite(resource, a, frequencies(published.tasks, a), *rules.finite_tasks)
        for a in alphas
    ]
    label = f"theory for {published.tasks} tasks"
    axes.plot(alphas, finite, "-.", color=style.VERMILION, label=label)
    axes.plot(alphas, theirs[resource], "D", color=style.PURPLE, mfc="none", label="published")
    rows = table[(table["exponent"] == resource) & table["value"].notna()]
    alike = [n for n, c in configurations.items() if c.tasks == published.tasks]
    rows = rows[rows["configuration"].isin(alike)]
    for _, row in rows.iterrows():
        own = row["configuration"] in family
        low, high = row["low"], row["high"]
        colour = style.BLUE
        if np.isfinite(low):
            axes.plot([row["alpha"]] * 2, [low, high], color=colour, lw=1.2)
        axes.plot(
            row["alpha"], row["value"], "o", color=colour, ms=5, mfc=colour if own else "none"
        )
    if rows.empty:
        axes.text(
            0.97,
            0.05,
            f"ours: not trained\n(needs {NEEDED[resource]},\n{published.tasks} tasks)",
            transform=axes.transAxes,
            ha="right",
            fontsize="small",
        )
    else:
        axes.plot([], [], "o", color=style.BLUE, label="ours")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("alpha of the tasks' frequencies")
    axes.set_ylabel(f"alpha_{resource}")


def _sums(axes: Axes, published: Michaud, rules: Quanta) -> None:
    first, last = rules.finite_tasks
    alphas = published.exponents.alpha
    shown = [alphas[0], alphas[len(alphas) // 2 - 1], alphas[-1]]
    style.plain_log_axis(axes, "x")
    style.plain_log_axis(axes, "y")
    ends, texts, colours = [], [], style.sequence(len(shown))
    for alpha, colour in zip(shown, colours, strict=True):
        rates = frequencies(published.tasks, alpha)
        n = np.arange(1, last + 1)
        sums = theory.unlearned(rates)[n]
        axes.plot(n, sums, color=colour)
        span = np.array([first, last])
        axes.plot(span, sums[first - 1] * (span / first) ** -alpha, "--", color=colour, lw=1)
        slope = theory.finite_slope(rates, first, last)
        ends.append((float(last), float(sums[last - 1])))
        texts.append(f"{alpha:g}: slope {slope:.3f}")
    axes.set_xlim(1, last)
    axes.set_ylim(0.6 * min(y for _, y in ends), 1.2)
    axes.set_title("sum of p over tasks k > n; dashed: n^−alpha", loc="left")  # noqa: RUF001
    axes.set_xlabel("n tasks learned")
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    style.label_ends(axes, ends, texts, colours)
