"""Sweeps on this machine: what is trained, what is recorded, and what survives which accident."""

import errno
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from dvc.utils.serialize import dump_yaml

from stages.base.errors import InputError
from stages.sweeping.graph import LOCK, TRAINING, Graph, alone
from stages.sweeping.work import shares
from tests.helpers import noops
from tests.helpers.clone import Clone, change, ran, stale
from tests.helpers.noops import Control, until
from tests.helpers.sweeps import NAMES, SWEEP, found_stale, same, started
from tests.helpers.tiny import tiny

# DVC's own use of a library that is about to change.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return noops.make(tmp_path_factory.mktemp("made"), tiny(), NAMES)


@pytest.fixture(scope="module")
def plain(made: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """What `dvc repro` makes of it."""
    clone = noops.copy(made, tmp_path_factory.mktemp("plain"))
    clone.run("dvc", "repro")
    return clone


@pytest.fixture
def workspace(made: Clone, tmp_path: Path) -> Clone:
    """Nothing of it has run."""
    return noops.copy(made, tmp_path)


@pytest.fixture
def done(plain: Clone, tmp_path: Path) -> Clone:
    """All of it has run."""
    return noops.copy(plain, tmp_path)


@pytest.fixture
def control(workspace: Clone) -> Control:
    return Control(workspace)


@pytest.fixture
def graph(done: Clone) -> Iterator[Graph]:
    with Graph(done.root) as graph:
        yield graph


def test_stale_is_what_dvc_says_is_stale(done: Clone) -> None:
    root = done.root
    edits = [
        lambda: (root / "out/a.b").write_text("changed"),
        lambda: (root / "out/b.a").unlink(),
        lambda: change(done, "cnn.sweeps.paper.epochs", 77),
        lambda: change(done, "cnn.sweeps.paper.epochs", 2),
        lambda: (root / TRAINING).write_text((root / TRAINING).read_text().replace("- a", "- x")),
        lambda: (root / "stages/things.py").write_text("# changed"),
        lambda: (root / "data/things").write_text("changed"),
        lambda: (root / "stages/noop.py").write_text("# changed"),
    ]
    assert found_stale(root) == set()
    seen = []
    for edit in edits:
        edit()
        seen.append(found_stale(root))
        assert seen[-1] == stale(done) - {"total"}
    assert {"train_cnn@a"} == seen[0] < seen[1] < seen[2] > seen[3]
    assert "train_cnn@x" in seen[4]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ([], "abcdef"),
        (["train_cnn"], "abcdef"),
        (["train_cnn@[ce]", "train_cnn@a"], "ace"),
    ],
)
def test_stages_are_named_by_name_family_or_glob(
    graph: Graph, patterns: list[str], found: str
) -> None:
    assert graph.training(patterns) == [f"train_cnn@{name}" for name in found]


@pytest.mark.parametrize("pattern", ["things", "train_cnn@q", "nothing*"])
def test_what_is_no_training_stage_is_refused(graph: Graph, pattern: str) -> None:
    with pytest.raises(InputError, match=r"no training stage .* train_cnn"):
        graph.training([pattern])


def test_the_lock_is_the_same_in_whatever_order_and_batches_it_is_written(
    plain: Clone, workspace: Clone
) -> None:
    shutil.copytree(plain.root / "out", workspace.root / "out")
    for batch in ["f", "bd", "ace"]:
        with alone(workspace.root), Graph(workspace.root) as graph:  # as after a kill
            keys = graph.keys(f"train_cnn@{name}" for name in batch)
            assert graph.record(keys, lambda name: None) == {}
    assert same(workspace, plain)


def test_a_new_dependency_is_recorded_as_dvc_records_it(done: Clone, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = noops.copy(done, tmp_path / "plain")
    for clone in (done, plain):
        path = clone.root / TRAINING
        path.write_text(
            path.read_text().replace("- data/things", "- data/things\n    - published.yaml")
        )
    plain.run("dvc", "repro")
    for batch in ["b", "acdef"]:
        with alone(done.root), Graph(done.root) as graph:
            keys = graph.keys(f"train_cnn@{name}" for name in batch)
            assert graph.record(keys, lambda name: None) == {}
            assert f"train_cnn@{batch[0]}" not in graph.stale(graph.training())
    assert found_stale(done.root) == set()
    assert same(done, plain)


def test_only_what_fits_is_recorded(graph: Graph) -> None:
    before = (graph.root / LOCK).read_bytes()
    keys = graph.keys(["train_cnn@a", "train_cnn@b"])

    def refuse(name: str) -> None:
        raise InputError("does not fit")

    refused = graph.record({"train_cnn@a": "another", "train_cnn@gone": "x"}, lambda name: None)
    assert {*refused} == {"train_cnn@a", "train_cnn@gone"}
    assert "changed" in refused["train_cnn@a"]
    assert graph.record(keys, refuse) == dict.fromkeys(keys, "does not fit")
    assert (graph.root / LOCK).read_bytes() == before


def test_one_sweep_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0.1)
    with (
        alone(tmp_path),
        pytest.raises(InputError, match="another sweep runs in this workspace"),
        alone(tmp_path),
    ):
        pass
    with alone(tmp_path):
        pass


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 9])
def test_workers_share_all_cores_and_gpus(workers: int) -> None:
    found = shares([*range(7)], 2, workers)
    used = [core for share in found for core in share.cores]
    assert {*used} == {*range(7)}
    assert all(share.cores for share in found)
    assert len(used) == max(7, workers)
    for gpu in (0, 1):
        assert sum(share.memory for share in found if share.gpu == gpu) <= 1
    assert {share.gpu for share in found} == {*range(min(2, workers))}
    assert {share.gpu for share in shares([], 0, workers)} == {None}


def test_a_stage_that_raises_is_named_with_its_log_and_the_rest_is_recorded(
    workspace: Clone, control: Control, plain: Clone
) -> None:
    (workspace.root / "dvc.lock").unlink()
    (workspace.root / "data/things").unlink()
    control.do("raise", "c")
    ended = workspace.run(*SWEEP, "--workers", "2", check=False)
    assert ended.returncode == 1
    assert ran(ended.stdout) == ["things"]
    error = ended.stderr.splitlines()[-1]
    assert error.startswith("error: train_cnn@c: ValueError: no such luck; log: ")
    log = (workspace.root / error.partition("log: ")[2]).read_text()
    assert "Traceback" in log
    assert log.endswith("ValueError: no such luck\n")
    assert "recorded 5 stages" in ended.stdout
    assert found_stale(workspace.root) == {"train_cnn@c"}

    control.do("", "c")
    assert workspace.run(*SWEEP, "--dry-run").stdout == "train_cnn@c\n"
    workspace.run(*SWEEP)
    assert same(workspace, plain)
    assert all(len(control.processes(name)) == 1 for name in "abdef")
    assert ran(workspace.run("dvc", "repro").stdout) == ["total"]
    assert (workspace.root / "dvc.lock").read_bytes() == (plain.root / "dvc.lock").read_bytes()


def test_a_killed_worker_costs_its_own_stage_another_try(
    workspace: Clone, control: Control
) -> None:
    control.do("wait", "a", "b")
    with started(workspace, "--workers", "2", "train_cnn@[ab]") as sweep:
        until(lambda: control.begun("a", "b"))
        os.kill(control.processes("a")[0], signal.SIGKILL)
        until(lambda: len(control.processes("a")) == 2)
        control.go()
        said = sweep.communicate(timeout=60)[0]
    assert "recorded 2 stages" in said
    assert sweep.returncode == 0
    assert len(control.processes("b")) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_had_ended_outlives_the_head_and_nothing_else_does(
    workspace: Clone, control: Control, plain: Clone, how: signal.Signals
) -> None:
    control.do("wait", "a", "b")
    finished = workspace.root / ".dvc/tmp/sweep/finished"
    with started(workspace, "--workers", "2", "train_cnn@[abef]") as sweep:
        until(lambda: control.begun("a", "b"))  # e and f have ended
        if how == signal.SIGKILL:
            beside = workspace.run(*SWEEP, check=False)
            assert beside.returncode == 1
            assert "another sweep runs in this workspace" in beside.stderr
        sweep.send_signal(how)
        said = sweep.communicate(timeout=60)[0]
    workers = [control.processes(name)[0] for name in "ab"]
    until(lambda: not any(map(psutil.pid_exists, workers)))
    assert not (workspace.root / "out/a.a").exists()
    assert not [*workspace.root.glob("out/.*")]
    if how != signal.SIGKILL:
        assert sweep.returncode == 130
        assert said.endswith("interrupted: what had ended is recorded; run it again to go on\n")
        assert found_stale(workspace.root) == {f"train_cnn@{name}" for name in "abcd"}
        assert not [*finished.iterdir()]

    control.go()
    workspace.run(*SWEEP)
    assert same(workspace, plain)
    assert all(len(control.processes(name)) == 1 for name in "cdef")
    assert all(len(control.processes(name)) == 2 for name in "ab")


def test_what_changes_while_it_trains_is_not_recorded(workspace: Clone, control: Control) -> None:
    control.do("wait", "a")
    with started(workspace, "--workers", "1", "train_cnn@[ab]") as sweep:
        until(lambda: control.begun("a", "b"))
        change(workspace, "cnn.sweeps.paper.epochs", 77)
        control.go()
        said = sweep.communicate(timeout=60)[0]
    assert sweep.returncode == 1
    assert "error: train_cnn@a: its command, params, code or data have changed since" in said
    assert not (workspace.root / "out/a.a").exists()
    change(workspace, "cnn.sweeps.paper.epochs", 2)
    assert "train_cnn@a" in found_stale(workspace.root)


LIMITED = """
import os, resource, sys
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # Python does not notice half a .pyc
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
os.execv(sys.executable, sys.argv[1:])
"""


def test_a_disk_that_is_full_is_one_line_and_costs_nothing(workspace: Clone, plain: Clone) -> None:
    """A limit to the size of files ends writes half-way, as a full disk does."""
    full = [sys.executable, "-c", LIMITED]
    ended = workspace.run(*full, *SWEEP, "--workers", "1", check=False)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("sweep: ")]
    assert line.startswith("error: ")
    assert "what had ended is kept: mend it and run it again" in line
    workspace.run(*SWEEP)
    assert same(workspace, plain)


def test_a_lock_whose_writing_ends_half_way_stays_as_it_was(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = graph.root / LOCK
    before = path.read_bytes()

    def half(aside: str, content: dict[str, Any]) -> None:
        dump_yaml(aside, content)
        os.truncate(aside, os.path.getsize(aside) // 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("stages.sweeping.graph.dump_yaml", half)
    with pytest.raises(OSError, match="No space left"):
        graph.record(graph.keys(["train_cnn@a"]), lambda name: None)
    assert path.read_bytes() == before
    assert not [*path.parent.glob(".*.tmp")]
