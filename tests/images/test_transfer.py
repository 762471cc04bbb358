"""Stage `download` against a real HTTP server, and from copies on disk.

The archives have the official layout and small random images; their MD5s are made with them.
"""

import hashlib
import io
import os
import pickle
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest

from stages import download as stage
from stages.base.errors import InputError
from stages.base.params import PublishedImages
from stages.images import sources, stored, transfer
from stages.images.arrays import Images, open_images
from stages.images.sources import Archive, File
from stages.images.stored import download
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT
from tests.helpers.tiny import write_params

NAME = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"


@dataclass
class Server:
    """Serves `content`; each entry of `cuts` is the bytes after which one response ends."""

    content: bytes
    ranges: bool = True
    status: int = 200
    cuts: list[int] = field(default_factory=list)
    hold: threading.Event | None = None  # waited for after a cut, the connection still open
    requests: list[tuple[str | None, int]] = field(default_factory=list)  # Range, bytes sent
    length: str | None = None  # what it says of its length, in place of the truth
    drip: float = 0.0  # seconds between two kilobytes
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    serves: Server

    def do_GET(self) -> None:
        serves, asked = self.serves, self.headers["Range"]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        size = len(serves.content)
        if not serves.ranges or not asked:
            start = 0
        if serves.status != 200 or start >= size:
            serves.requests.append((asked, 0))
            self.send_error(serves.status if serves.status != 200 else 416)
            return
        body = serves.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", serves.length or str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        sent = body[: serves.cuts.pop(0)] if serves.cuts else body
        serves.requests.append((asked, len(sent)))
        step = 1000 if serves.drip else len(sent)
        with suppress(OSError):  # given up
            for at in range(0, len(sent), step):
                time.sleep(serves.drip)
                self.wfile.write(sent[at : at + step])
        if serves.hold is not None and len(sent) < len(body):
            serves.hold.wait(30)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("CIFAR10_SOURCE", raising=False)
    monkeypatch.delenv("CIFAR10_URL", raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Archive, Path]:
    """An archive and the folder that holds it and what it was made of."""
    root = tmp_path_factory.mktemp("copies")
    (root / "unpacked" / FOLDER).mkdir(parents=True)
    (root / "packed").mkdir()
    rng = np.random.default_rng(0)
    md5s = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {
            "batch_label": name,
            "labels": rng.integers(10, size=8).tolist(),
            "data": rng.integers(256, size=(8, 3072), dtype=np.uint8),
            "filenames": [f"{i}.png" for i in range(8)],
        }
        content = pickle.dumps(batch, protocol=2)
        (root / "unpacked" / FOLDER / name).write_bytes(content)
        md5s[name] = hashlib.md5(content).hexdigest()
    meta = pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)
    (root / "unpacked" / FOLDER / "batches.meta").write_bytes(meta)
    with tarfile.open(root / "packed" / NAME, "w:gz") as tar:
        tar.add(root / "unpacked" / FOLDER, FOLDER)
    md5 = hashlib.md5((root / "packed" / NAME).read_bytes()).hexdigest()
    test = {"test_batch": md5s.pop("test_batch")}
    return Archive(File("", NAME, md5), FOLDER, md5s, test, classes=10), root


@pytest.fixture
def server(made: tuple[Archive, Path]) -> Iterator[Server]:
    serves = Server((made[1] / "packed" / NAME).read_bytes())
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"serves": serves}))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    serves.url = f"http://127.0.0.1:{http.server_port}/{NAME}"
    yield serves
    if serves.hold is not None:
        serves.hold.set()
    http.shutdown()
    http.server_close()
    thread.join()


CIFAR10 = PublishedImages(source="cifar10")


@dataclass(frozen=True)
class Place:
    """Where one test downloads to."""

    archive: Archive
    files: stored.Place

    @property
    def output(self) -> Path:
        return self.files.output

    @property
    def partial(self) -> Path:
        return self.files.partial / NAME

    def bring(
        self, source: Path | None = None, log: TextIO | None = None, retries: int = 3
    ) -> Images:
        return download(self.archive, source, self.files, log or io.StringIO(), [0.0] * retries)

    def fails(self, source: Path | None = None, retries: int = 3) -> str:
        with pytest.raises(InputError) as error:
            self.bring(source, retries=retries)
        assert "\n" not in str(error.value)
        return str(error.value)

    def bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.output.iterdir()}

    def beside(self) -> set[str]:
        """What lies in the folder of the output."""
        return {path.name for path in self.output.parent.iterdir()}


@pytest.fixture
def place(made: tuple[Archive, Path], server: Server, tmp_path: Path) -> Place:
    return Place(made[0].at(server.url), stored.Place(tmp_path / "data", "cifar10", CIFAR10))


@pytest.fixture
def copies(made: tuple[Archive, Path]) -> Path:
    return made[1]


def refused_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/{NAME}"


# The network


def test_a_complete_download_is_what_the_batches_hold(
    place: Place, server: Server, copies: Path
) -> None:
    place.bring()
    opened = open_images(place.output)
    batch = pickle.loads((copies / "unpacked" / FOLDER / "data_batch_2").read_bytes())
    pixel = opened.train_images[8 + 3, 5, 7]  # image 3 of the second batch, row 5, column 7
    assert pixel.tolist() == [batch["data"][3, c * 1024 + 5 * 32 + 7] for c in range(3)]
    assert opened.train_labels[8:16].tolist() == batch["labels"]
    assert (len(opened.train_images), len(opened.test_images)) == (40, 8)
    assert server.requests == [(None, len(server.content))]
    assert place.beside() == {"cifar10"}


def test_a_cut_connection_goes_on_where_it_stopped(place: Place, server: Server) -> None:
    size = len(server.content)
    server.cuts = [size // 3, size // 3]
    place.bring()
    assert server.requests == [
        (None, size // 3),
        (f"bytes={size // 3}-", size // 3),
        (f"bytes={2 * (size // 3)}-", size - 2 * (size // 3)),
    ]
    assert len(open_images(place.output).train_images) == 40


@pytest.mark.parametrize("length", ["many", "-5", "1e6", "0x10", "²"])
def test_a_length_that_is_none_is_passed_over(place: Place, server: Server, length: str) -> None:
    server.length = length
    place.bring()
    assert len(open_images(place.output).train_images) == 40


def test_a_server_that_is_too_slow_is_given_up(
    place: Place, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MINUTE", 0.3)
    monkeypatch.setattr(transfer, "SLOW", 50_000.0)
    server.drip = 0.05
    start = time.monotonic()
    assert "slower than 50 kB/s; use another" in place.fails()
    assert time.monotonic() - start < 3
    assert len(server.requests) == 1
    assert place.partial.stat().st_size > 0


def test_a_connection_cut_for_good_keeps_what_came_for_the_next_run(
    place: Place, server: Server
) -> None:
    size = len(server.content)
    server.cuts = [1000, 0, 0]
    message = place.fails(retries=2)
    assert message.startswith(f"{server.url}: cut after 1,000 bytes (closed by the server); ")
    assert "CIFAR10_SOURCE" in message
    assert place.partial.read_bytes() == server.content[:1000]
    assert not place.output.exists()
    server.requests.clear()
    place.bring()
    assert server.requests == [("bytes=1000-", size - 1000)]
    assert not place.partial.exists()


def test_retries_start_anew_while_bytes_arrive(place: Place, server: Server) -> None:
    server.cuts = [len(server.content) // 20] * 19
    place.bring(retries=1)
    assert len(server.requests) == 20
    assert len(open_images(place.output).train_images) == 40


def test_a_server_without_ranges_starts_over(place: Place, server: Server) -> None:
    size = len(server.content)
    server.ranges = False
    server.cuts = [size // 2]
    place.bring()
    assert server.requests == [(None, size // 2), (f"bytes={size // 2}-", size)]
    assert len(open_images(place.output).train_images) == 40


def test_a_server_that_always_cuts_and_has_no_ranges_is_given_up(
    place: Place, server: Server
) -> None:
    server.ranges = False
    server.cuts = [1000] * 10
    assert "cut after 1,000 bytes" in place.fails(retries=3)
    assert len(server.requests) == 4


def test_a_partial_longer_than_the_file_starts_over(place: Place, server: Server) -> None:
    place.partial.parent.mkdir(parents=True)
    place.partial.write_bytes(server.content + b"more")
    place.bring()
    assert [sent for _, sent in server.requests] == [0, len(server.content)]
    assert len(open_images(place.output).train_images) == 40


def test_a_complete_archive_from_an_earlier_run_needs_no_network(
    place: Place, server: Server
) -> None:
    place.partial.parent.mkdir(parents=True)
    place.partial.write_bytes(server.content)
    place.bring()
    assert server.requests == []
    assert len(open_images(place.output).train_images) == 40
    assert not place.partial.exists()


def test_a_wrong_checksum_removes_the_file_and_the_next_run_starts_over(
    place: Place, server: Server
) -> None:
    right = server.content
    server.content = right[:-50] + bytes(50)
    message = place.fails()
    assert message.startswith(f"{server.url}: ")
    assert f"not {place.archive.file.md5}" in message
    assert "removed it" in message
    assert not place.partial.exists()
    assert not place.output.exists()
    server.content = right
    place.bring()
    assert server.requests[-1] == (None, len(right))


def test_without_network_the_message_says_what_to_do(place: Place) -> None:
    place = replace(place, archive=place.archive.at(refused_url()))
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        download(place.archive, None, place.files, io.StringIO())
    assert time.monotonic() - start < 1  # no retries where nothing has ever answered
    message = str(error.value)
    assert message.startswith(f"{place.archive.file.url}: cannot be had (Connection refused); ")
    assert "check the network" in message
    assert f"set CIFAR10_SOURCE to an existing {NAME} or {FOLDER} folder" in message


@pytest.mark.parametrize("status", [404, 503])
def test_a_refusal_names_its_status(place: Place, server: Server, status: int) -> None:
    server.status = status
    assert f"cannot be had (HTTP {status} " in place.fails()
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["cifar.tar.gz", "http://", "http://[::1", "http://a b/c"])
def test_an_address_that_is_none_is_refused(place: Place, url: str) -> None:
    place = replace(place, archive=place.archive.at(url))
    assert place.fails().startswith(f"{url}: cannot be had (")


def test_images_are_opened_as_recorded_and_fetched_only_where_they_are_not(
    place: Place, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "published", lambda source: place.archive)
    root = place.files.root
    with pytest.raises(InputError, match=r"cifar10\.json: missing; make it again: dvc repro"):
        stored.stored("cifar10", CIFAR10, root)
    stored.record("cifar10", CIFAR10, root)
    before, recorded = place.bytes(), place.files.record.read_bytes()
    server.requests.clear()
    assert len(stored.stored("cifar10", CIFAR10, root).train_images) == 40
    assert server.requests == []
    (place.output / "test_labels.npy").write_bytes(before["train_labels.npy"])
    stored.stored("cifar10", CIFAR10, root)
    shutil.rmtree(place.output)
    stored.stored("cifar10", CIFAR10, root)
    assert len(server.requests) == 2
    assert place.bytes() == before
    assert place.files.record.read_bytes() == recorded

    place.files.record.write_bytes(recorded.replace(b"md5", b"md6"))
    with pytest.raises(InputError, match=r"not the images that .*cifar10\.json is of"):
        stored.stored("cifar10", CIFAR10, root)
    with pytest.raises(InputError, match="made with other params"):
        stored.stored("cifar10", PublishedImages(source="mnist"), root)


# Copies


def test_the_bytes_are_the_same_from_every_origin(place: Place, copies: Path) -> None:
    place.bring()
    wanted = place.bytes()
    assert sorted(wanted) == [
        "test_images.npy",
        "test_labels.npy",
        "train_images.npy",
        "train_labels.npy",
    ]
    packed, unpacked = copies / "packed", copies / "unpacked"
    for source in (packed / NAME, packed, unpacked / FOLDER, unpacked):
        for path in place.output.iterdir():
            path.unlink()
        place.bring(source)
        assert place.bytes() == wanted


def test_the_arrays_are_those_that_torchvision_reads(place: Place, copies: Path) -> None:
    from torchvision.datasets import CIFAR10

    meta = (copies / "unpacked" / FOLDER / "batches.meta").read_bytes()
    known = {
        "train_list": list(place.archive.train.items()),
        "test_list": list(place.archive.test.items()),
        "meta": {**CIFAR10.meta, "md5": hashlib.md5(meta).hexdigest()},
    }
    reader = type("Small", (CIFAR10,), known)
    images = place.bring(copies / "unpacked")
    for train, ours, labels in (
        (True, images.train_images, images.train_labels),
        (False, images.test_images, images.test_labels),
    ):
        theirs = reader(copies / "unpacked", train)
        assert np.array_equal(ours, theirs.data)
        assert labels.tolist() == theirs.targets


class Alarm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_damaged_file_in_the_folder_is_named_and_never_unpickled(
    place: Place, copies: Path, tmp_path: Path
) -> None:
    place.bring()
    before = place.bytes()
    folder = tmp_path / FOLDER
    folder.mkdir()
    for path in (copies / "unpacked" / FOLDER).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "data_batch_3").write_bytes(pickle.dumps(Alarm(tmp_path / "unpickled")))
    message = place.fails(folder)
    assert message.startswith(f"CIFAR10_SOURCE: {folder}/data_batch_3: MD5 ")
    assert f"not {place.archive.train['data_batch_3']}" in message
    assert not (tmp_path / "unpickled").exists()
    (folder / "data_batch_3").unlink()
    assert f"{folder}/data_batch_3: missing" in place.fails(folder)
    assert place.bytes() == before


def test_a_damaged_archive_is_refused_and_stays(place: Place, copies: Path, tmp_path: Path) -> None:
    damaged = tmp_path / NAME
    damaged.write_bytes((copies / "packed" / NAME).read_bytes()[:-1])
    assert f"{damaged}: MD5 " in place.fails(damaged)
    assert damaged.exists()
    assert not place.output.exists()


def test_a_source_that_is_no_copy_is_refused(place: Place, tmp_path: Path) -> None:
    message = place.fails(tmp_path / "nowhere")
    assert message.startswith(f"CIFAR10_SOURCE: {tmp_path}/nowhere: does not exist")
    (tmp_path / "empty").mkdir()
    message = place.fails(tmp_path / "empty")
    assert f"{tmp_path}/empty: holds no {NAME} or {FOLDER} folder" in message


# Kills and full disks

CHILD = """
import io, resource, signal, sys
from pathlib import Path
from stages.base.params import PublishedImages
from stages.images.sources import Archive, File
from stages.images.stored import Place, download

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
source, limit = {source!r}, {limit!r}
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
place = Place(Path({root!r}), "cifar10", PublishedImages(source="cifar10"))
download({archive!r}, source and Path(source), place, sys.stderr)
"""


def child(place: Place, source: Path | None = None, limit: int = 0) -> "subprocess.Popen[bytes]":
    code = CHILD.format(
        source=source and str(source),
        limit=limit,
        archive=place.archive,
        root=str(place.output.parent),
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("earlier", [False, True])
def test_killed_in_the_transfer_leaves_the_output_and_resumes(
    place: Place, server: Server, copies: Path, earlier: bool
) -> None:
    if earlier:
        place.bring(copies / "unpacked")
    before = place.bytes() if earlier else {}
    server.cuts, server.hold = [50_000], threading.Event()
    with child(place) as process:
        deadline = time.monotonic() + 20
        while not (place.partial.exists() and place.partial.stat().st_size > 40_000):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    if earlier:
        assert place.bytes() == before
    else:
        with pytest.raises(InputError, match="missing"):
            open_images(place.output)
    came = place.partial.stat().st_size
    assert place.partial.read_bytes() == server.content[:came]
    place.bring()
    assert server.requests[-1] == (f"bytes={came}-", len(server.content) - came)
    assert len(open_images(place.output).train_images) == 40


@pytest.mark.parametrize("earlier", [False, True])
def test_killed_while_writing_leaves_the_output_as_it_was(
    place: Place, copies: Path, earlier: bool
) -> None:
    if earlier:
        place.bring(copies / "unpacked")
    before = place.bytes() if earlier else {}
    with child(place, copies / "packed", limit=50_000) as process:
        assert process.wait(20) == -signal.SIGXFSZ  # the kernel kills it at byte 50,000
    if earlier:
        assert place.bytes() == before
    else:
        with pytest.raises(InputError, match="missing"):
            open_images(place.output)
    place.bring(copies / "packed")
    assert len(open_images(place.output).train_images) == 40
    assert place.beside() == {"cifar10"}


@pytest.mark.parametrize("network", [False, True])
def test_a_full_disk_is_one_line_and_leaves_the_output(
    place: Place, server: Server, copies: Path, network: bool
) -> None:
    place.bring(copies / "unpacked")
    before = place.bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        message = place.fails(None if network else copies / "unpacked")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert message.startswith(f"{place.output}: not written (")
    assert place.bytes() == before
    assert len(server.requests) == int(network)  # a full disk is no cut connection


# What is shown


def test_a_log_has_plain_lines_and_few(place: Place, server: Server) -> None:
    server.cuts = [len(server.content) // 2]
    log = io.StringIO()
    place.bring(log=log)
    assert "\r" not in log.getvalue()
    lines = log.getvalue().splitlines()
    assert all(line.startswith(f"{NAME}: ") for line in lines)
    shares = [int(found[1]) for line in lines if (found := re.search(r"(\d+) % of", line))]
    assert shares[0] == 0
    assert shares[-1] == 100
    assert len(shares) <= 12
    assert shares == sorted(shares)
    assert f"{NAME}: connection cut (closed by the server); trying again in 0 s" in lines


def test_a_terminal_gets_a_bar(place: Place, server: Server) -> None:
    server.cuts = [len(server.content) // 2]
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        place.bring(log=terminal)
        terminal.flush()
        shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert "\r" in shown
    assert f"{NAME}: 100%" in shown
    assert "connection cut" in shown


# The stage


def test_the_official_archive_is_the_published_one() -> None:
    archive = sources.published("cifar10")
    assert isinstance(archive, Archive)
    assert archive.file.url == f"https://www.cs.toronto.edu/~kriz/{NAME}"
    assert archive.file.md5 == "c58f30108f718f92721af3b95e74349a"  # given on that site
    assert (archive.file.name, archive.folder) == (NAME, FOLDER)
    assert list(archive.train) == [f"data_batch_{i}" for i in range(1, 6)]
    assert list(archive.test) == ["test_batch"]


def test_the_environment_says_where_from(
    server: Server, copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_params(tmp_path, FROZEN.model_dump())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["download", "cifar10"])
    monkeypatch.setenv("CIFAR10_URL", server.url)
    with pytest.raises(InputError, match=rf"{server.url}: data/.*: MD5 .*, not c58f30108f"):
        stage.main()
    assert server.requests == [(None, len(server.content))]
    monkeypatch.setenv("CIFAR10_SOURCE", str(copies / "unpacked"))
    with pytest.raises(InputError, match=r"CIFAR10_SOURCE: .*data_batch_1: MD5 .*, not c99cafc152"):
        stage.main()
    monkeypatch.setenv("CIFAR10_SOURCE", "~nobody-of-this-name/copy")
    with pytest.raises(InputError, match="CIFAR10_SOURCE: ~nobody-of-this-name/copy: no such home"):
        stage.main()
    assert len(server.requests) == 1
    assert not (tmp_path / "data" / "cifar10").exists()


def test_the_stage_fails_with_one_line_and_touches_nothing(place: Place, copies: Path) -> None:
    place.bring(copies / "unpacked")
    before = place.bytes()
    write_params(place.output.parents[1], FROZEN.model_dump())
    ended = subprocess.run(
        [sys.executable, "-m", "stages.download", "cifar10"],
        cwd=place.output.parents[1],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CIFAR10_URL": refused_url()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert re.fullmatch(r"error: .*Connection refused.*CIFAR10_SOURCE.*\n", ended.stderr)
    assert place.bytes() == before
    assert place.beside() == {"cifar10", "cifar10.part", ".cifar10.lock.tmp"}
    assert not list(place.files.partial.iterdir())
