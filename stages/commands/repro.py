"""What `make repro` runs: `dvc repro` in a workspace that is mended first, then the metrics."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.base import errors, params
from stages.base.errors import InputError
from stages.base.processes import dvc, dvc_output
from stages.base.workspace import prepare


def table(metrics: dict[str, Any]) -> str:
    """What `dvc metrics show --json` lists, a line for each number under its file's name.

    Raises:
        InputError: a metrics file cannot be read.
    """
    lines = []
    for path, entry in metrics.items():
        if "data" not in entry:
            raise InputError(f"{path}: missing or damaged; restore it: git checkout -- {path}")
        rows = dict(_leaves(entry["data"]))
        width = max(map(len, rows), default=0)
        lines += ["", path, *(f"  {name:{width}}  {value}" for name, value in rows.items())]
    return "\n".join(lines)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    params.load()
    prepare(Path())
    dvc("repro")
    metrics = json.loads(dvc_output("metrics", "show", "--json"))
    print(table(metrics[""].get("data", {})))


if __name__ == "__main__":
    errors.run(main)
