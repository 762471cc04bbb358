"""What tests share: tiny params, small images, and a clone of the working tree to run DVC in.

`make test` runs them in several processes, which make what takes long once and share it.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dvc.repo import Repo
from filelock import FileLock
from numpy.typing import NDArray

from stages.base import params, workspace
from stages.images import stored
from stages.images.arrays import Images, save_images
from tests.helpers.clone import Clone, isolated
from tests.helpers.root import ROOT
from tests.helpers.tiny import tiny, write_params

# Where there is no NVIDIA GPU, the CUDA kernels are tested in Triton's interpreter; it has to be
# chosen before anything imports Triton.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"


# PyTorch takes a thread per core, unless told otherwise before it is imported.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    each = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, each)))


OF_REAL_GRAPH = ("commands/test_demo", "test_plots_diff", "test_structure")
"""Files whose tests read dvc.yaml and dvc.lock as they are, for which DVC takes seconds."""
ONE_BY_ONE = ("test_bad_input", "test_experiments", "test_killed", "test_pipeline")
"""Files whose tests take long and share no fixture but the finished graph and others of all."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests stay in one process: those of a file, as they share fixtures, with exceptions.

    By their ids alone: pytest 9.2 does not show xdist 3.8 the groups that tests are marked with.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            name = nodeid.partition(".py::")[0].removeprefix("tests/")
            if name in ONE_BY_ONE:
                return nodeid
            return "real graph" if name in OF_REAL_GRAPH else name

    return ByFile(config, log)


WHOLE = {"finished", "clone", "done", "workspace"}
"""Fixtures that run DVC on a graph."""
LONG = (
    *("test_kernels.py", "test_kept.py", "test_plots_diff.py", "pages/test_report.py"),
    *("sweeping/test_ray.py", "sweeping/test_sweep.py", "tensorboard/test_import.py"),
    *("drawing/test_cnn.py", "drawing/test_parity.py", "test_coverage.py", "test_repro.py"),
    *("tests/test_bench.py", "test_demo.py", "test_docs.py", "test_measure.py", "test_method.py"),
    *("test_readme.py", "test_transfer.py"),
)
"""Files whose tests interpret kernels, kill processes, start a cluster or a browser, draw all
figures, or wait for DVC."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that take long, and order all for several processes.

    The first that needs the finished graph makes it while the others run the files; the rest of
    those come last, and of them first the file that takes longest.
    """
    for item in items:
        slow = WHOLE & {*getattr(item, "fixturenames", ())} or item.path.as_posix().endswith(LONG)
        if slow:
            item.add_marker("long")
    if not config.pluginmanager.hasplugin("xdist"):
        return
    of_graph = [item for item in items if "finished" in getattr(item, "fixturenames", ())]
    of_files = [item for item in items if item not in of_graph]
    first, rest = of_graph[:1], of_graph[1:]
    rest.sort(
        key=lambda item: item.path.name != "test_pipeline.py"
    )  # one process has all of a file
    items[:] = [*first, *of_files, *rest]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch  # seconds to import, and few tests need it

        if not torch.cuda.is_available():
            pytest.skip("needs an NVIDIA GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """With NO_SKIPS set, as in CI, a test that is skipped for anything but a GPU has failed."""
    report = yield
    if report.skipped and os.environ.get("NO_SKIPS") and not item.get_closest_marker("gpu"):
        report.outcome = "failed"
    return report


@pytest.fixture
def tiny_params() -> dict[str, Any]:
    """params.yaml cut down to what trains in seconds: valid, with a short last batch."""
    return tiny()


@pytest.fixture(scope="session")
def small_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like data/cifar10: 40 training and 24 test images of ten colours with noise.

    Read only: a test that changes the files copies the folder first.
    """
    random = np.random.default_rng(0)
    colours = random.integers(64, 192, (10, 1, 1, 3))

    def draw(size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        labels = np.arange(size, dtype=np.uint8) % 10
        noise = random.integers(-64, 64, (size, 32, 32, 3))
        return (colours[labels] + noise).astype(np.uint8), labels

    folder = tmp_path_factory.mktemp("images") / "cifar10"
    save_images(folder, Images(*draw(40), *draw(24)))
    return folder


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a run of the tests have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def once(folder: Path, make: Callable[[], None]) -> None:
    """Make a folder, unless another process has: the first that wants it makes it, others wait."""
    with FileLock(folder.with_suffix(".lock")):
        whole = folder.with_suffix(".whole")
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make()
            whole.touch()


@pytest.fixture(scope="session")
def _committed(common: Path) -> Clone:
    """A repository whose one commit is the working tree, less what git ignores."""
    home = common / "committed"
    tree = Clone(home / "tree", isolated(home))
    once(home, lambda: _commit_working_tree(tree))
    return tree


def _commit_working_tree(tree: Clone) -> None:
    tree.root.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        env=tree.env,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if (ROOT / name).is_file():
            (tree.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree.root / name)
    tree.run("git", "init", "--quiet", "--initial-branch=main")
    tree.run("git", "add", "--all")
    tree.run("git", "commit", "--quiet", "--message=The working tree")


@pytest.fixture
def clone(_committed: Clone, tmp_path: Path) -> Clone:
    """A fresh clone of the working tree as it is, uncommitted changes and new files included."""
    return _committed.twin(tmp_path / "clone")


@pytest.fixture(scope="session")
def finished(_committed: Clone, small_images: Path, common: Path) -> Clone:
    """The graph of the working tree run on the CPU to its end, on tiny params and small images.

    Everything is made there and committed; nothing of the real results is left. It takes most of a
    minute: tests work in a `twin`.
    """
    home = common / "finished"
    tree = Clone(home / "tree", _committed.env | {"SCALING_DEVICE": "cpu"})
    once(home, lambda: _finish(_committed, tree, small_images))
    return tree


def _finish(committed: Clone, tree: Clone, images: Path) -> None:
    committed.twin(tree.root)
    with Repo(str(tree.root)) as repo:
        outs = [Path(out.fs_path) for out in repo.index.outs]
    for out in outs:
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    for lock in workspace.LOCKS:
        (tree.root / lock).unlink(missing_ok=True)
    write_params(tree.root, tiny())
    shutil.copytree(images, tree.root / "data/cifar10")
    settings = params.PublishedImages(source="cifar10")
    stored.write_record(stored.Place(tree.root / "data", "cifar10", settings))
    tree.run("python", "-m", "stages.validate")
    tree.run("dvc", "commit", "--force", "download")
    tree.run("dvc", "repro", timeout=900)
    tree.run("git", "add", "--all")
    tree.run("git", "commit", "--quiet", "--message=Tiny results")


@pytest.fixture
def fresh(finished: Clone, tmp_path: Path) -> Clone:
    """A fresh clone of the finished graph: it has every result, and no data set."""
    return finished.twin(tmp_path / "fresh")


@pytest.fixture
def ready(finished: Clone, fresh: Clone) -> Clone:
    """The same with what `dvc repro` leaves: the data set, compiled modules.

    Not with DVC's cache of runs: what is stale runs.
    """
    for name in ("data/cifar10", "stages"):
        shutil.copytree(finished.root / name, fresh.root / name, dirs_exist_ok=True)
    return fresh


@pytest.fixture
def offline() -> list[str]:
    """What runs a command without network: every request goes to a port where nothing listens."""
    proxies = [f"{kind}_proxy=http://127.0.0.1:9" for kind in ("http", "https", "all")]
    return ["env", "--unset=no_proxy", "--unset=NO_PROXY", *proxies]
