"""Train the graph's stale stages in parallel; `dvc repro` then finds them up to date.

  python -m stages.commands.sweep                              what is stale, on all that is here
  python -m stages.commands.sweep train_parity 'train_cnn@paper-*' --workers 4
  python -m stages.commands.sweep --engine ray --address auto  on a Ray cluster
  python -m stages.commands.sweep --adopt FOLDER               take over what was trained elsewhere

The parts and dvc.lock are those that `dvc repro` would have made. A sweep that was interrupted,
killed or in part failed goes on when it is run again. docs/sweeps.md says more.
"""

from __future__ import annotations

import argparse
import math
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

if __name__ != "__mp_main__":  # a worker process runs this module again, and needs none of it
    from stages.base import errors, params
    from stages.base.errors import InputError
    from stages.base.processes import dvc
    from stages.base.progress import Progress
    from stages.base.workspace import prepare
    from stages.images import stored
    from stages.sweeping import expected
    from stages.sweeping.finished import Finished
    from stages.sweeping.graph import FOLDER, Graph, alone
    from stages.sweeping.local import Local
    from stages.sweeping.train import Engine, Recorder, adopt, sweep


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stages.commands.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("stages", nargs="*", help="training stages, families of them, or globs in quotes (all)")
    add("--dry-run", action="store_true", help="list what would run, and stop")
    add("--engine", choices=["local", "ray"], default="local", help="where stages run (local)")
    add(
        "--workers",
        type=_that(int, lambda n: n >= 1, "at least 1"),
        help="local: processes (1 a GPU, or 1 a core)",
    )
    add("--address", help="ray: of the cluster (one that runs here, or else a new one)")
    cpus = _that(float, lambda x: 0 < x < math.inf, "above 0")
    add("--cpus", type=cpus, default=1.0, help="ray: cores for each stage (1)")
    whole = "from 0 to 1, or whole, as Ray shares one GPU only"
    gpus = _that(float, lambda x: 0 <= x <= 1 or (x > 0 and x.is_integer()), whole)
    add("--gpus", type=gpus, help="ray: GPUs for each stage, such as 0.5 (1, if there are any)")
    add("--adopt", type=Path, metavar="FOLDER", help="record parts of another workspace instead")
    return parser.parse_args()


def _that(
    kind: type[int] | type[float], holds: Callable[[float], bool], said: str
) -> Callable[[str], float]:
    """A type of an argument: a number that must be what is said."""

    def number(text: str) -> float:
        if not holds(value := kind(text)):
            raise argparse.ArgumentTypeError(f"must be {said} (got {text})")
        return value

    return number


def _engine(arguments: argparse.Namespace, graph: Graph) -> Engine:
    logs = graph.folder / "logs"
    if arguments.engine == "local":
        return Local(graph.root, graph.folder / "work", logs, arguments.workers)
    try:
        from stages.sweeping.cluster import Cluster
    except ModuleNotFoundError as error:
        raise InputError(
            f"--engine ray: {error}; install it: {sys.executable} -m pip install ray"
        ) from None
    return Cluster(graph.root, logs, arguments.address, arguments.cpus, arguments.gpus)


def _run(arguments: argparse.Namespace, graph: Graph) -> dict[str, str]:
    """Do what the arguments say; why stages failed, by name."""
    start = time.monotonic()
    finished = Finished(graph.folder / "finished")
    recorder = Recorder(graph, finished, lambda: expected.expected(params.load()))
    recorder.record()  # what a sweep that was killed had finished
    names = graph.training(arguments.stages)
    tasks = graph.tasks(graph.stale(names))
    faults: dict[str, str] = {}
    if arguments.adopt:
        faults = adopt(arguments.adopt, tasks, finished, recorder)
    elif tasks:
        p = params.load()
        for name, settings in p.images.items():
            if any(str(stored.DATA / name) in task.inputs for task in tasks):
                stored.stored(name, settings)  # once, for all workers
        # Widths are listed from narrow to wide: let what takes longest not start last.
        progress = Progress("sweep", len(tasks), "stages")
        with _engine(arguments, graph) as engine, progress:
            faults = sweep(engine, tasks[::-1], finished, recorder, progress)
    print(f"recorded {recorder.recorded} stages in {time.monotonic() - start:.0f} s")
    left = len(graph.stale(names))
    print(f"{left} training stages are still stale" if left else "`dvc repro` does the rest")
    return faults


def main() -> None:
    arguments = _arguments()
    params.load()
    prepare(Path())
    if arguments.dry_run:
        with Graph(Path()) as graph:
            names = graph.training(arguments.stages)
            listed = [*graph.upstream(names), *graph.stale(names)]
            print("\n".join(listed) or "nothing is stale")
        return
    try:
        with alone(Path()), ExitStack() as stack:
            graph = stack.enter_context(Graph(Path()))
            names = graph.training(arguments.stages)
            if not arguments.adopt and (first := graph.upstream(names)):
                stack.close()
                dvc("repro", *first)
                graph = stack.enter_context(Graph(Path()))
            faults = _run(arguments, graph)
    except KeyboardInterrupt:
        print("interrupted: what had ended is recorded; run it again to go on", file=sys.stderr)
        sys.exit(130)
    except (OSError, sqlite3.Error) as error:  # DVC keeps a database of hashes
        raise InputError(f"{error}; what had ended is kept: mend it and run it again") from None
    for name, fault in faults.items():
        log = FOLDER / "logs" / f"{name}.log"
        print(f"error: {name}: {fault}{f'; log: {log}' if log.exists() else ''}", file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    errors.run(main)
