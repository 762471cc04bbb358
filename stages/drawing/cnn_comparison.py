"""Sharma & Kaplan's Figure 6, ours beside it, and what 4/alpha depends on."""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.base.params import Plot, SharmaKaplan
from stages.base.tables import where
from stages.drawing import cnn, style
from stages.drawing.cnn import EPOCHS, LOSSES, Drawn
from stages.drawing.forest import Line, forest, limits
from stages.drawing.style import CYCLE, INK
from stages.manifold import selection


def epochs(tables: Drawn, plot: Plot, published: SharmaKaplan) -> Figure:
    """Median validation loss and 4/alpha for each choice of epochs."""
    names = tables.sweeps
    figure, grid = cnn.grid(len(names), 2, plot, 0.45)
    ends: dict[Axes, list[style.End]] = {}
    laws = {
        (sweep, metric, choice): tables.fit(sweep, metric, choice)
        for sweep, metric, choice in product(names, LOSSES, EPOCHS)
    }
    span = limits(pd.Series([law["dimension"] for law in laws.values()]), published.expected)
    of_each = len(EPOCHS)
    references = [
        (_theirs(published)[metric], rank * of_each, (rank + 1) * of_each - 1)
        for rank, metric in enumerate(LOSSES)
    ]
    for (curves, dimensions), sweep in zip(grid, names, strict=True):
        curves.set_title(f"{sweep}: median validation loss (nats)")
        ends[curves], rows = [], tables.of(sweep)
        for choice, (marker, colour) in EPOCHS.items():
            chosen = cnn.positive(selection.choose(rows, choice), "validation_loss")
            median = chosen.groupby("parameters")["validation_loss"].median()
            curves.plot(median.index, median, marker, markersize=4, color=colour)
            law = laws[sweep, "validation_loss", choice]
            if end := cnn.power_law(curves, law, rows, colour):
                ends[curves].append((end, choice, colour))
        cnn.n_axis(curves, rows["parameters"])
        style.plain_log_axis(curves, "y", cnn.FINE_TICKS)
        dimensions.set_title(f"{sweep}: 4/{cnn.ALPHA} and its interval")
        lines = [
            (f"{LOSSES[metric].split()[0]}, {choice}", {choice: laws[sweep, metric, choice]})
            for metric, choice in product(LOSSES, EPOCHS)
        ]
        forest(dimensions, lines, references, published.expected, span, values=True)
    style.name_ends(figure, ends)
    return figure


def figure_6(
    tables: Drawn, plot: Plot, published: SharmaKaplan, theirs: str, names: Mapping[str, str]
) -> Figure:
    """Figure 6: its four curves at the best epoch over the published widths, ours and theirs.

    `theirs` is what the published numbers are called, and `names` what each sweep is.
    """
    figure, grid = cnn.grid(2, 2, plot, 0.525)
    first, last = published.widths
    runs = tables.runs[tables.runs["width"].between(first, last)]
    parameters = published.figure_6.parameters
    log_n, named = np.log(parameters), {theirs: Line2D([], [], marker="D", ls="--", color=INK)}
    ends: dict[Axes, list[style.End]] = {}
    for axes, curve in zip(grid.flat, selection.FIGURE_6, strict=True):
        values = np.array(getattr(published.figure_6, curve))
        axes.plot(parameters, values, "D", markersize=5, color=INK, markerfacecolor="none")
        # the paper gives the slope alone: its line is drawn through the middle of the points
        printed = getattr(published, curve)
        law_of_theirs = np.exp(np.log(values).mean() - 4 / printed * (log_n - log_n.mean()))
        axes.plot(parameters, law_of_theirs, "--", color=INK)
        ends[axes] = [((float(parameters[-1]), float(law_of_theirs[-1])), f"{printed:g}", INK)]
        for rank, sweep in enumerate(tables.sweeps):
            rows = where(runs, sweep=sweep)
            if rows.empty:
                continue
            has = selection.metrics(rows)
            metric = selection.counterpart(curve, has)
            colour, marker = CYCLE[rank % len(CYCLE)], "os^vPX<>"[rank % 8]
            named[names[sweep]] = Line2D([], [], marker=marker, color=colour)
            best = selection.choose(rows, "best")
            best = cnn.positive(best.assign(value=has[metric].of(best)), "value")
            by_size = best.groupby("parameters")["value"]
            low, high = (by_size.quantile(quantile) for quantile in plot.band)
            axes.fill_between(low.index, low, high, color=colour, alpha=0.25, linewidth=0)
            axes.plot(low.index, by_size.median(), marker, markersize=4, color=colour)
            law = tables.fit(sweep, metric, "best", widths="published")
            if last_point := cnn.power_law(axes, law, rows, colour):
                number = law["dimension"]
                text = cnn.dimension(law) if pd.isna(number) else f"{number:.1f}"
                ends[axes].append((last_point, text, colour))
        label = f"Parameters N (widths {first} to {last})"
        cnn.n_axis(axes, {*runs["parameters"], *parameters}, label)
        style.plain_log_axis(axes, "y", cnn.FINE_TICKS)
        axes.set_title(f"{curve.replace('_', ' ').capitalize()}, and 4/{cnn.ALPHA}")
    for name, line in named.items():
        line.set(label=name, markersize=4)
    figure.legend(handles=[*named.values()], ncols=2, loc="outside upper center")
    style.name_ends(figure, ends, aligned=True)
    return figure


def sensitivity(tables: Drawn, plot: Plot, published: SharmaKaplan) -> Figure:
    """4/alpha by everything that was varied, one thing at a time, and by single epoch."""
    names, table = tables.sweeps, tables.sensitivity
    figure, grid = cnn.grid(len(names), 3, plot, 0.62)
    span = limits(table["dimension"], published.expected)
    ends: dict[Axes, list[style.End]] = {}
    for (*forests, single), sweep in zip(grid, names, strict=True):
        ends[single] = []
        single.axhspan(*published.expected, color=INK, alpha=0.22, linewidth=0)
        for rank, (axes, metric) in enumerate(zip(forests, LOSSES, strict=True)):
            here = where(table, sweep=sweep, metric=metric)
            axes.set_title(f"{sweep}: 4/{cnn.ALPHA}, {LOSSES[metric]}", pad=20)
            lines = list(_varied(here))
            references = [(_theirs(published)[metric], 0, len(lines) - 1)]
            forest(axes, lines, references, published.expected, span)
            if end := _by_epoch(single, here, CYCLE[rank], ("-", "--")[rank], span[1]):
                ends[single].append((end, LOSSES[metric].split()[0], CYCLE[rank]))
        single.set_title(f"{sweep}: 4/{cnn.ALPHA} of one epoch alone")
        style.plain_log_axis(single, "y", cnn.TICKS)
        single.set_ylim(*span)
        single.set_xlabel("Epoch")
    style.name_ends(figure, ends)
    return figure


def local_slopes(tables: Drawn, plot: Plot, published: SharmaKaplan) -> Figure:
    """Alpha in a sliding window of widths: that of a power law would not move."""
    names, table = tables.sweeps, tables.local_slopes
    figure, grid = cnn.grid(len(names), 2, plot, 0.45)
    ends: dict[Axes, list[style.End]] = {}
    for axes, (sweep, metric) in zip(grid.flat, product(names, LOSSES), strict=True):
        axes.set_title(f"{sweep}: local {cnn.ALPHA}, {LOSSES[metric]}")
        here = where(table, sweep=sweep, metric=metric)
        numbers = ["parameters", "alpha", "alpha_low", "alpha_high"]
        here = here.dropna(subset=["alpha"]).astype(dict.fromkeys(numbers, float))
        rows = tables.of(sweep) if here.empty else here
        cnn.n_axis(axes, rows["parameters"], "Parameters N, middle of the window")
        alpha = 4 / _theirs(published)[metric]
        axes.axhline(alpha, linestyle="--", color=INK, linewidth=1)
        ends[axes] = [((axes.get_xlim()[1], alpha), "published", INK)]
        for choice, (marker, colour) in EPOCHS.items():
            part = where(here, epochs=choice)
            n, band = part["parameters"], (part["alpha_low"], part["alpha_high"])
            axes.fill_between(n, *band, color=colour, alpha=0.2, linewidth=0)
            axes.plot(n, part["alpha"], f"{marker}-", markersize=3, color=colour)
            if len(part):
                last = (axes.get_xlim()[1], float(part["alpha"].iloc[-1]))
                ends[axes].append((last, choice, colour))
        if axes.get_ylim()[0] < 0:
            axes.axhline(0, color=INK, linewidth=0.6)
    style.name_ends(figure, ends)
    return figure


def _theirs(published: SharmaKaplan) -> dict[str, float]:
    return {"validation_loss": published.test_loss, "train_loss": published.train_loss}


def _by_epoch(
    axes: Axes, table: pd.DataFrame, colour: str, style: str, top: float
) -> style.Point | None:
    """Draw 4/alpha against the epoch with its band; where the line ends or leaves the axes."""
    rows = where(table, factor="epoch")
    rows = rows.assign(epoch=rows["level"].astype(int)).sort_values("epoch")
    low, high = rows["dimension_low"], rows["dimension_high"].fillna(np.inf).clip(upper=10 * top)
    axes.fill_between(rows["epoch"], low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(rows["epoch"], rows["dimension"], style, color=colour)
    inside = rows[rows["dimension"] <= top]
    if inside.empty:
        return None
    return float(inside["epoch"].iloc[-1]), float(inside["dimension"].iloc[-1])


def _varied(table: pd.DataFrame) -> Iterator[Line]:
    """The lines of the forest: each level of each factor but the epochs, which are its markers."""
    for factor in ["quantile", "widths", "failed", "model"]:
        here = where(table, factor=factor)
        for level in here["level"].unique():
            fits = where(here, level=level)
            fits = fits[fits["epochs"].isin(EPOCHS)]
            first, last = fits[["first_width", "last_width"]].iloc[0]
            name = {
                "quantile": f"quantile {level}",
                "widths": f"widths {first} to {last}",
                "failed": f"failed {level}".replace("failed short_", "short "),
                "model": level.replace("irreducible_loss", "with a floor").replace("_", " "),
            }[factor]
            yield name, {str(fit["epochs"]): fit for _, fit in fits.iterrows()}
