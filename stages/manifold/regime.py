"""What decides whether 4/alpha is d: the same networks and images, trained otherwise.

The students of teachers, where the theory holds, have soft labels, fresh samples, a rate that falls
and many steps; the studies of generated images have none of them. Each is changed alone, then all.
"""

from collections.abc import Mapping

import pandas as pd

from stages.base.tables import where
from stages.manifold.method import HOLDS, JUDGED, exponents, judged, shown
from stages.statistics.bootstrap import Resampling
from stages.statistics.equivalence import OUTCOMES

UNCHANGED = "unchanged"
COLUMNS = ["study", "known", "change", "quantity", "widths", *JUDGED]


def table(
    runs: Mapping[tuple[str, int], Mapping[str, pd.DataFrame]],
    epochs: str,
    tolerance: float,
    resampling: Resampling,
) -> pd.DataFrame:
    """One row per study, change, loss and range of widths, as `manifold.method.judged` says.

    `runs` are by a study and its known dimension and then by the change, `UNCHANGED` among them, in
    the columns of `stages.cnn.part.SCHEMA`. Losses of soft labels are less the labels' entropy.
    """
    rows = []
    for (study, known), changes in runs.items():
        for change, sweep in changes.items():
            for quantity, widths, estimate in exponents(sweep, epochs, resampling):
                labels = zip(COLUMNS, (study, known, change, quantity, widths), strict=False)
                rows.append(dict(labels) | judged(estimate, known, tolerance))
    return pd.DataFrame(rows, columns=COLUMNS)


def statement(table: pd.DataFrame, tolerance: float) -> str:
    """In words, by rules: which changes bring 4/alpha nearer to d, and which bring it there.

    One brings it nearer where its interval has no point in common with that of the study unchanged,
    and its value is nearer to d.
    """
    rows = where(table, quantity="test_loss", widths="all")
    if rows.empty:
        return "No study is trained otherwise.\n"
    was = where(rows, change=UNCHANGED).set_index("study").loc[rows["study"]]
    before = was[["dimension", "low", "high"]].set_index(rows.index)
    apart = (rows["high"] < before["low"]) | (rows["low"] > before["high"])
    far, far_before = (abs(each["dimension"] - rows["known"]) for each in (rows, before))
    nearer, there = apart & (far < far_before), rows["outcome"] == HOLDS[OUTCOMES[0]]

    def at(known: pd.Series) -> str:
        return f"at d = {', '.join(map(str, known))}" if len(known) else "at none"

    said = []
    for change in rows.loc[rows["change"] != UNCHANGED, "change"].unique():
        of = rows["change"] == change
        near, within = (at(rows.loc[of & chosen, "known"]) for chosen in (nearer, there))
        said.append(f"with {_words(change)} {near} (within {tolerance:.0%} of d {within})")
    summary = (
        "4/alpha of the test loss comes nearer to d, by an interval apart from that of the study "
        f"unchanged, {', '.join(said)}."
    )
    lines = []
    for known, of_study in rows.groupby("known", sort=False):
        each = ", ".join(f"{_words(str(row.change))} {shown(row)}" for row in of_study.itertuples())
        lines.append(f"- d = {known}: {each}.")
    return "\n".join([summary, "", *lines, ""])


def _words(change: str) -> str:
    return change.replace("_", " ")
