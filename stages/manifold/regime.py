"""What decides whether 4/alpha is d: the same networks and images, trained otherwise.

The students of teachers, where the theory holds, have soft labels, fresh samples, a rate that falls
and many steps; the studies of generated images have none of them. Each is changed alone, then all.
"""

from collections.abc import Mapping

import pandas as pd

from stages.base.tables import where
from stages.manifold.method import JUDGED, SIDES, exponents, judged, shown
from stages.statistics.bootstrap import Resampling

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


def less(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the test loss over all widths, and whether a change makes 4/alpha `less`: its
    interval lies wholly below that of the study unchanged."""
    rows = where(table, quantity="test_loss", widths="all")
    low = where(rows, change=UNCHANGED).set_index("study")["low"].reindex(rows["study"])
    return rows.assign(less=rows["high"].to_numpy() < low.to_numpy())


def statement(table: pd.DataFrame) -> str:
    """Say in words, by rules, which changes make 4/alpha less, and where its interval then lies."""
    rows = less(table)
    if rows.empty:
        return "No study is trained otherwise.\n"
    said = []
    for change in rows["change"].unique():
        of = rows["change"] == change
        at = {
            words: rows.loc[of & (rows["side"] == side), "known"] for side, words in SIDES.items()
        }
        lies = " and ".join(f"{words} {_at(known)}" for words, known in at.items() if len(known))
        fell = (
            ""
            if change == UNCHANGED
            else f"it is less {_at(rows.loc[of & rows['less'], 'known'])}; "
        )
        said.append(f"- {_words(str(change))}: {fell}its interval {lies}.")
    lines = []
    for known, of_study in rows.groupby("known", sort=False):
        each = ", ".join(f"{_words(str(row.change))} {shown(row)}" for row in of_study.itertuples())
        lines.append(f"- d = {known}: {each}.")
    first = (
        "What each change makes of 4/alpha of the test loss; the theory's value is d, as a bound:"
    )
    return "\n".join([first, "", *said, "", *lines, ""])


def _at(known: pd.Series) -> str:
    return f"at d = {', '.join(map(str, known))}" if len(known) else "at none"


def _words(change: str) -> str:
    return change.replace("_", " ")
