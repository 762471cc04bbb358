"""Runs that others trained beside ours, width by width: one protocol in two people's code."""

import pandas as pd

from stages.manifold import selection

METRICS = ["train_loss", "validation_loss"]


def by_width(runs: pd.DataFrame, theirs: list[str], ours: str, failed_above: float) -> pd.DataFrame:
    """Medians at the last epoch, of the runs that did not fail: theirs, ours, their ratio.

    One row for each width that both have, of each imported sweep: how many of its runs there are
    and how they failed, then `train_loss` and `validation_loss`, those of `ours` and the `ratio`.
    """
    last = {name: _last(runs, name, failed_above) for name in [*theirs, ours]}
    found = []
    for name in theirs:
        of_runs = selection.failures(runs[runs["sweep"] == name], failed_above)
        counted = of_runs.groupby("width")[[*selection.FAILURES]].sum()
        counted.insert(0, "runs", of_runs.groupby("width").size())
        both = counted.join(last[name], how="inner").join(
            last[ours].add_suffix("_ours"), how="inner"
        )
        for metric in METRICS:
            both[f"{metric}_ratio"] = both[f"{metric}_ours"] / both[metric]
        both.insert(0, "sweep", name)
        found.append(both.reset_index())
    columns = [f"{metric}{end}" for metric in METRICS for end in ("", "_ours", "_ratio")]
    labels = ["sweep", "width", "runs", *selection.FAILURES]
    return (
        pd.concat(found)[[*labels, *columns]]
        if found
        else pd.DataFrame(columns=[*labels, *columns])
    )


def _last(runs: pd.DataFrame, name: str, failed_above: float) -> pd.DataFrame:
    rows = runs[runs["sweep"] == name].reset_index(drop=True)
    sound = selection.sound(rows, selection.failures(rows, failed_above))
    medians: pd.DataFrame = selection.choose(sound, "last").groupby("width")[METRICS].median()
    return medians.astype(float)
