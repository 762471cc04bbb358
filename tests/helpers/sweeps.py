"""Sweeps of a workspace, and what they leave."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stages.sweeping.graph import LOCK, Graph
from tests.helpers.clone import Clone

NAMES = list("abcdef")
SWEEP = [sys.executable, "-m", "stages.commands.sweep"]
PARTS = Path("metrics/runs")


@contextmanager
def started(clone: Clone, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A sweep that runs meanwhile."""
    sweep = subprocess.Popen(
        [*SWEEP, *options],
        cwd=clone.root,
        env=clone.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield sweep
    finally:
        with suppress(ProcessLookupError):
            os.killpg(sweep.pid, signal.SIGKILL)
        print(sweep.communicate()[0])  # if it fails


def same(clone: Clone, plain: Clone) -> bool:
    """Whether a sweep has left what `dvc repro` would have, had it run the same stages."""
    outs = [f"out/{name}.{kind}" for name in NAMES for kind in "ab"]
    return all(
        (clone.root / path).read_bytes() == (plain.root / path).read_bytes()
        for path in (LOCK, *outs)
    )


def found_stale(root: Path) -> set[str]:
    with Graph(root) as graph:
        names = graph.training()
        return {*graph.stale(names), *graph.upstream(names)}


def without(clone: Clone, *patterns: str) -> list[Path]:
    """Remove the parts of some stages; which these were."""
    removed = sorted(path for pattern in patterns for path in clone.root.glob(f"{PARTS}/{pattern}"))
    for path in removed:
        path.unlink()
    return removed
