"""The replication notebook's two figures of one sweep: scatter with regressions, and violins."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.base.params import Plot
from stages.drawing import cnn, style
from stages.drawing.cnn import Drawn
from stages.drawing.style import BLUE, CYCLE, VERMILION
from stages.manifold import selection

PANELS = {
    "train_loss": "Training loss (nats)",
    "validation_loss": "Validation loss (nats)",
    "train_accuracy": "Training accuracy",
    "validation_accuracy": "Validation accuracy",
}


def scaling(tables: Drawn, sweep: str, plot: Plot) -> Figure:
    """Loss and accuracy against N, all epochs of all runs, with the quantile regressions."""
    figure, grid = cnn.grid(2, 2, plot, 0.45, sharex=True)
    rows = tables.of(sweep)
    quantiles = sorted(tables.fits["quantile"].unique(), reverse=True)
    ends: dict[Axes, list[style.End]] = {}
    for axes, (metric, title) in zip(grid.flat, PANELS.items(), strict=True):
        axes.set_title(title)
        if cnn.positive(rows, metric).empty:  # an import may lack it
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center")
            continue
        points = _ranked(rows, metric, plot.points).to_numpy()
        style.dots(axes, points, plot.marker_size, plot.opacity)
        cnn.n_axis(axes, rows["parameters"], "Parameters N" if axes in grid[-1] else "")
        axes.tick_params(labelbottom=True)  # a narrow page stacks the panels
        style.plain_log_axis(axes, "y", cnn.TICKS)
        falls = metric.endswith("loss")
        if falls:  # the notes stand above the data: a fifth of the height
            low, high = axes.get_ylim()
            axes.set_ylim(low, high * (high / low) ** 0.25)
        ends[axes], notes = [], [f"quantile: slope, 4/{cnn.ALPHA}"]
        for rank, quantile in enumerate(quantiles):
            colour = CYCLE[rank % len(CYCLE)]
            law = tables.fit(sweep, metric, "pooled", quantile)
            if end := cnn.power_law(axes, law, rows, colour):
                ends[axes].append((end, f"{quantile:g}", colour))
            notes.append(f"{quantile:g}: {_note(law, interval=quantile == 0.5)}")
        y, side = (0.985, "top") if falls else (0.02, "bottom")
        look = {"ha": "right", "va": side, "fontsize": "small", "linespacing": 1.35}
        axes.text(0.99, y, "\n".join(notes), transform=axes.transAxes, **look)
    said = f"{len(rows.drop_duplicates(selection.RUN)):,} runs, all {len(rows):,} epochs fitted"
    shown = f"{plot.points} shown per N at evenly spaced ranks"
    figure.suptitle(f"Sweep {sweep}: {said}, {shown}", fontsize="medium")
    style.name_ends(figure, ends)
    return figure


def violins(tables: Drawn, sweep: str, plot: Plot) -> Figure:
    """How loss and accuracy are distributed over runs and epochs at each N."""
    figure, grid = cnn.grid(2, 2, plot, 0.4, sharex=True)
    rows = tables.of(sweep)
    widths = rows.groupby("parameters")["width"].first()
    ticks = _apart(widths.iloc[:: max(1, round(len(widths) / 5))])
    for axes, (metric, title) in zip(grid.flat, PANELS.items(), strict=True):
        axes.set_title(title)
        finite = rows[np.isfinite(rows[metric])]
        by_width = {width: group for width, group in finite.groupby("width")[metric]}
        if by_width:
            look = {"widths": 0.9, "points": 24, "showmedians": True, "showextrema": False}
            values = [values.to_numpy(float) for values in by_width.values()]
            drawn = axes.violinplot(values, list(by_width), **look)
            for body in drawn["bodies"]:
                body.set(facecolor=BLUE, edgecolor=BLUE, alpha=plot.opacity, linewidth=0.6)
            drawn["cmedians"].set(color=VERMILION, linewidth=1.5)
        axes.set_xticks(ticks.to_numpy(), [f"{n:,}" for n in ticks.index])
        axes.tick_params(labelbottom=True)  # a narrow page stacks the panels
    for axes in grid[-1]:
        axes.set_xlabel("Parameters N, a step per width")
    words = "distribution over runs and epochs; the bar is the median"
    figure.suptitle(f"Sweep {sweep}: {words}", fontsize="medium")
    return figure


def _apart(widths: pd.Series) -> pd.Series:
    """Keep widths with room for a number between them: a seventh of their range."""
    kept: list[int] = []
    for place, width in enumerate(widths):
        if not kept or width - widths.iloc[kept[-1]] >= (widths.iloc[-1] - widths.iloc[0]) / 7:
            kept.append(place)
    return widths.iloc[kept]


def _ranked(rows: pd.DataFrame, metric: str, count: int) -> pd.DataFrame:
    """Pick `count` values at each N, at evenly spaced ranks from the smallest to the largest."""
    kept = [rows[["parameters", metric]].iloc[:0]]
    for _, group in cnn.positive(rows, metric).sort_values(metric).groupby("parameters"):
        ranks = np.linspace(0, len(group) - 1, min(count, len(group))).round().astype(int)
        kept.append(group.iloc[ranks])
    return pd.concat(kept)


def _note(law: pd.Series, interval: bool) -> str:
    if pd.isna(law["slope"]):
        return "no fit"
    slope = f"{law['slope']:.3f}".replace("-", "\N{MINUS SIGN}")
    words = cnn.dimension(law)
    return f"{slope}, {words if interval else words.split(' (')[0]}"
