"""Runs that others trained beside ours, width by width: one protocol in two people's code."""

import pandas as pd

from stages.base.tables import where
from stages.manifold import selection

METRICS = ["train_loss", "validation_loss"]


def by_width(runs: pd.DataFrame, theirs: list[str], ours: str, failed_above: float) -> pd.DataFrame:
    """Medians at the last epoch, of the runs that did not fail: theirs, ours, their ratio.

    One row for each width that both have, of each imported sweep: how many of its runs there are
    and how they failed, then `train_loss` and `validation_loss`, those of `ours` and the `ratio`.
    """

    def last(rows: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
        sound = selection.sound(rows, failures)
        return selection.choose(sound, "last").groupby("width")[METRICS].median().astype(float)

    failures = selection.failures(runs, failed_above)
    of = {name: (where(runs, sweep=name), where(failures, sweep=name)) for name in [*theirs, ours]}
    columns = [f"{metric}{end}" for metric in METRICS for end in ("", "_ours", "_ratio")]
    found = [pd.DataFrame(columns=["sweep", "width", "runs", *selection.FAILURES, *columns])]
    for name in theirs:
        by_width = of[name][1].groupby("width")
        both = by_width[[*selection.FAILURES]].sum().assign(runs=by_width.size(), sweep=name)
        both = both.join(last(*of[name]), how="inner")
        both = both.join(last(*of[ours]).add_suffix("_ours"), how="inner")
        for metric in METRICS:
            both[f"{metric}_ratio"] = both[f"{metric}_ours"] / both[metric]
        found.append(both.reset_index()[found[0].columns])
    return pd.concat(found[1:] or found)
