"""What `make repro` runs: `dvc repro`, less a download that nothing needs, then the metrics.

A clone has every result but not the images of `data.source`, CIFAR-10 unless params.yaml was
changed. Plain `dvc repro` fetches or makes them even if nothing is stale. `dvc repro
--allow-missing` does not, but then DVC passes over any other deleted file as well, and of a stale
stage that reads the images it deletes the outputs before it finds that there are none. So the flag
is given only where neither can happen.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.base import errors, params
from stages.base.errors import InputError
from stages.base.processes import dvc, dvc_output
from stages.base.workspace import prepare, see_room

Changes = list[dict[str, dict[str, Any]] | str]
"""Of one stage, as `dvc status --json` lists them: {"changed deps": {path: how}}, or a word."""


def needs_data(status: dict[str, Changes], images: Path) -> bool:
    """Whether `dvc repro` needs the absent images, or must not be run with `--allow-missing`."""
    absent = images.as_posix()
    for changes in status.values():
        deps, outs = _changed("deps", changes), _changed("outs", changes)
        if any(how == "deleted" and path != absent for path, how in (deps | outs).items()):
            return True
        if absent in deps and (len(deps) > 1 or len(changes) > 1):
            return True
    return False


def _changed(kind: str, changes: Changes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for change in changes:
        if isinstance(change, dict):
            found |= change.get(f"changed {kind}", {})
    return found


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
    images = params.load().data.folder
    prepare(Path())
    absent = not images.exists()
    safe = absent and not needs_data(json.loads(dvc_output("status", "--json")), images)
    if absent and not safe:
        see_room(Path(), images=True)
    dvc("repro", *(["--allow-missing"] if safe else []))
    metrics = json.loads(dvc_output("metrics", "show", "--json"))
    print(table(metrics[""].get("data", {})))


if __name__ == "__main__":
    errors.run(main)
