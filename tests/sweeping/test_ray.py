"""Sweeps on a Ray cluster of two nodes: real processes that talk over the loopback."""

import importlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from stages.base.errors import InputError
from tests.helpers import noops
from tests.helpers.clone import Clone
from tests.helpers.noops import Control, until
from tests.helpers.root import ROOT
from tests.helpers.sweeps import NAMES, SWEEP, found_stale, same, started, without
from tests.helpers.tiny import tiny

pytest.importorskip("ray", reason="needs Ray: pip install ray")
RayCluster = importlib.import_module("stages.sweeping.cluster").Cluster

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


@dataclass
class Cluster:
    """Its address, what its clients must know, and the process of each node."""

    address: str
    env: dict[str, str]
    control: Path
    nodes: list[subprocess.Popen[bytes]]

    files = Path(f"/tmp/ray-{os.getpid()}")  # short: a socket's path has at most 107 bytes

    def begin(self) -> None:
        """Start a head and another node."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        head = ["--head", f"--port={port}", f"--temp-dir={self.files}", "--disable-usage-stats"]
        self.add(*head, "--include-dashboard=false")
        self.add(f"--address={self.address}")

    def add(self, *options: str) -> None:
        """Start a node of one CPU."""
        ray = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus=1"]
        env = os.environ | self.env | {"NOOP_CONTROL": str(self.control)}
        log = self.control.with_name(f"node-{len(self.nodes)}.log")
        with log.open("w") as said:
            self.nodes.append(subprocess.Popen([*ray, *options], env=env, stdout=said, stderr=said))
        until(lambda: "Ray runtime started" in log.read_text())

    def lose(self, number: int) -> None:
        """SIGKILL all processes of a node."""
        node = psutil.Process(self.nodes[number].pid)
        for process in [node, *node.children(recursive=True)]:
            process.kill()
        self.nodes.pop(number).wait()

    @property
    def options(self) -> list[str]:
        return ["--engine", "ray", "--address", self.address]


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    cluster = Cluster("", env, tmp_path_factory.mktemp("cluster") / "control", [])
    try:
        yield cluster
    finally:
        while cluster.nodes:
            cluster.lose(-1)
        shutil.rmtree(cluster.files, ignore_errors=True)


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """One cluster for all tests, and another once a test has lost its head."""
    if not _cluster.nodes:
        _cluster.begin()
    return _cluster


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return noops.make(tmp_path_factory.mktemp("made"), tiny(), NAMES)


@pytest.fixture
def workspace(made: Clone, cluster: Cluster, tmp_path: Path) -> Clone:
    clone = noops.copy(made, tmp_path)
    cluster.control.unlink(missing_ok=True)
    cluster.control.symlink_to(clone.env["NOOP_CONTROL"])
    return Clone(clone.root, clone.env | cluster.env)


def test_ray_makes_what_dvc_repro_makes(ready: Clone, cluster: Cluster) -> None:
    assert len(without(ready, "parity/*", "cnn/paper-*")) == 10
    clone = Clone(ready.root, ready.env | cluster.env)
    assert "recorded 4 stages" in clone.run(*SWEEP, *cluster.options).stdout
    assert clone.changed() == []


def test_a_killed_worker_and_a_lost_node_cost_only_time(
    workspace: Clone, cluster: Cluster, made: Clone, tmp_path: Path
) -> None:
    plain = noops.copy(made, tmp_path / "plain")
    plain.run("dvc", "repro")
    control = Control(workspace)
    control.do("wait", "a", "b")
    with started(workspace, *cluster.options) as sweep:
        until(lambda: control.begun("a", "b"), 120)  # one on each node
        os.kill(control.processes("a")[0], signal.SIGKILL)
        until(lambda: len(control.processes("a")) == 2)
        cluster.lose(1)
        control.go()
        said = sweep.communicate(timeout=120)[0]
    assert "recorded 6 stages" in said
    assert same(workspace, plain)
    assert all(len(control.processes(name)) == 1 for name in "cdef")


def test_a_stage_that_raises_is_named_and_sigterm_ends_the_rest(
    workspace: Clone, cluster: Cluster
) -> None:
    control = Control(workspace)
    control.do("raise", "c")
    control.do("wait", "a")
    with started(workspace, *cluster.options, "train_cnn@[abc]") as sweep:
        until(lambda: control.begun("a"))
        sweep.terminate()
        said = sweep.communicate(timeout=60)[0]
    assert sweep.returncode == 130
    assert "train_cnn@c failed: ValueError: no such luck" in said
    log = workspace.root / ".dvc/tmp/sweep/logs/train_cnn@c.log"
    assert "Traceback" in log.read_text()
    until(lambda: not psutil.pid_exists(control.processes("a")[0]))
    assert found_stale(workspace.root) == {f"train_cnn@{name}" for name in "acdef"}


def test_what_the_cluster_does_not_have_is_refused_at_once(
    workspace: Clone, cluster: Cluster
) -> None:
    ended = workspace.run(*SWEEP, *cluster.options, "--cpus", "1000", check=False, timeout=90)
    assert ended.returncode == 1
    *_, line = ended.stderr.splitlines()
    assert line.startswith("error: Ray: no node has 1000 cores and 0 GPUs for a stage; the most ")


@pytest.mark.parametrize("option", ["--cpus=-1", "--cpus=0", "--cpus=nan", "--gpus=1.5"])
def test_amounts_that_are_none_are_refused(workspace: Clone, option: str) -> None:
    ended = workspace.run(*SWEEP, "--engine", "ray", option, check=False)
    assert ended.returncode == 2
    name, _, value = option.partition("=")
    line = ended.stderr.splitlines()[-1]
    assert f"argument {name}: must be " in line
    assert line.endswith(f"(got {value})")


def test_a_port_where_something_else_listens_is_refused_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.sweeping.cluster.PATIENCE", 3.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(InputError, match="what listens there does not answer as Ray"):
            RayCluster(ROOT, tmp_path, address, 1, None).__enter__()


def test_a_cluster_that_is_lost_ends_the_sweep_in_one_line(
    workspace: Clone, cluster: Cluster
) -> None:
    control = Control(workspace)
    control.do("wait", "a")
    with started(workspace, *cluster.options, "train_cnn@[ab]") as sweep:
        until(lambda: control.begun("a", "b"), 120)
        while cluster.nodes:
            cluster.lose(-1)
        said = sweep.communicate(timeout=90)[0]
    assert sweep.returncode == 1
    assert "error: Ray at " in said.splitlines()[-1]
    assert found_stale(workspace.root) == {f"train_cnn@{name}" for name in "acdef"}


def test_a_cluster_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"Ray at {address}: Connection refused"):
            RayCluster(ROOT, tmp_path, address, 1, None).__enter__()
