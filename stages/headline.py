"""Stage `headline`: the few numbers that `dvc metrics` and `dvc exp show` list, by short names.

By the rules of the verdict: 4/alpha of the test loss (d_test), of the training loss (d_train) and
as the notebook pools epochs (d_pooled); the dimension of the last hidden layer (d_hidden); how many
of the published numbers are reproduced. Of the first parity configuration: the slope of learning
time against frequency, and the tasks learned. The tables of metrics/ have intervals and the rest.
"""

import json
from pathlib import Path
from typing import Any

from stages import errors, runs
from stages.errors import InputError

DIMENSIONS = {
    "d_test": "test_loss",
    "d_train": "train_loss",
    "d_pooled": "notebook",
    "d_hidden": "intrinsic_dimension",
}
"""The headline's names of the verdict's quantities."""


def read(path: Path, stage: str) -> dict[str, Any]:
    """What a stage found.

    Raises:
        InputError: its file is missing or damaged.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; make it: dvc repro --force {stage}") from None
    return found


def headline(verdict: dict[str, Any], parity: dict[str, Any]) -> dict[str, float | int | None]:
    """The numbers by name, None where there is none."""
    first = next(iter(parity.values()))
    outcomes = [entry["outcome"] for entry in verdict.values()]
    return {
        **{name: verdict[quantity]["ours"] for name, quantity in DIMENSIONS.items()},
        "reproduced": outcomes.count("reproduced"),
        "parity_slope": first["slope"],
        "learned": first["learned"],
    }


def main() -> None:
    verdict = read(Path("metrics/verdict.json"), "verdict")
    parity = read(Path("metrics/parity.json"), "fit_parity")
    with runs.aside(Path("metrics/headline.json")) as path:
        path.write_text(json.dumps(headline(verdict, parity), indent=2) + "\n")


if __name__ == "__main__":
    errors.run(main)
