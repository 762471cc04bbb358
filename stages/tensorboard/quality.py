"""What became of each event file, and of each width's: nothing is dropped in silence.

A file's flags, of which it may have several:

- `short`: fewer epochs than a complete run;
- `empty`: not one whole epoch, so no row of the table;
- `unknown_tags`: scalars, and none of the metrics;
- `dead`: the training loss never came down to the level at which a run counts as failed;
- `late`: it came down at a later epoch than usual;
- `not_finite`: a loss that is NaN or infinite;
- `duplicate_steps`: several values of a tag at one step, of which the last is kept;
- `damaged_tail`: bytes at the end that are no record, as in a log cut off;
- `bad_crc`: records with a bad checksum, which are left out.

Runs that are short, dead or not finite are the failed ones of `stages.manifold.selection.failures`.
"""

import numpy as np
import pandas as pd

from stages.tensorboard.logs import Run

OF_LOGS = ["unknown_tags", "duplicate_steps", "damaged_tail", "bad_crc"]
"""Flags that no run of a table has."""
FLAGS = [
    *("short", "empty", "unknown_tags", "dead", "late", "not_finite"),
    *("duplicate_steps", "damaged_tail", "bad_crc"),
]


def of_files(
    runs: list[Run],
    seeds: dict[str, int],
    metrics: set[str],
    epochs: int,
    failed_above: float,
    late_from: int,
) -> pd.DataFrame:
    """One row per file, ordered by width, seed and name.

    Args:
        seeds: by file, of those that have one.
        metrics: the tags of the metrics.
        epochs: of a complete run.
        failed_above: nats; a run whose training loss stays above is dead.
        late_from: the first epoch at which a first fall below is late.
    """
    rows = []
    for run in runs:
        loss = np.array(run.curves["train_loss"])
        below = np.flatnonzero(loss <= failed_above)
        fell = run.epochs[below[0]] if len(below) else None
        rows.append(
            {
                "width": run.width or None,
                "parameters": run.parameters or None,
                "seed": seeds.get(run.file),
                "file": run.file,
                "epochs": len(run.epochs),
                "last_epoch": run.epochs[-1] if run.epochs else None,
                "fell_at_epoch": fell,
                "partial_epochs": run.partial,
                "duplicate_steps": run.duplicates,
                "lost_bytes": run.lost,
                "bad_records": run.bad,
                "flags": " ".join(_flags(run, metrics, epochs, fell, late_from)),
            }
        )
    frame = pd.DataFrame(rows)
    whole = ["width", "parameters", "seed", "last_epoch", "fell_at_epoch"]
    frame = frame.astype(dict.fromkeys(whole, "Int64"))
    return frame.sort_values(["width", "seed", "file"], ignore_index=True)


def _flags(run: Run, metrics: set[str], epochs: int, fell: int | None, late_from: int) -> list[str]:
    losses = np.array([run.curves["train_loss"], run.curves["validation_loss"]])
    finite = bool(np.isfinite(losses).all())
    has = {
        "empty": not run.epochs,
        "unknown_tags": not run.epochs and run.tags and not metrics & {*run.tags},
        "short": 0 < len(run.epochs) < epochs,
        "not_finite": not finite,
        "dead": finite and run.epochs and fell is None,
        "late": fell is not None and fell >= late_from,
        "duplicate_steps": run.duplicates,
        "damaged_tail": run.lost,
        "bad_crc": run.bad,
    }
    return [flag for flag, is_so in has.items() if is_so]


def of_widths(files: pd.DataFrame) -> pd.DataFrame:
    """How many files of each width were found, are complete, and have each flag.

    Files that do not say their width are the last row.
    """
    has = files["flags"].str.split()
    counts = pd.DataFrame({flag: has.map(lambda of, flag=flag: flag in of) for flag in FLAGS})
    counts.insert(0, "complete", ~(counts["short"] | counts["empty"]))
    counts.insert(0, "found", True)
    keys = files[["width", "parameters"]]
    grouped = pd.concat([keys, counts.astype(int)], axis=1).groupby([*keys], dropna=False)
    return grouped.sum().reset_index()
