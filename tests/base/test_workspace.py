"""What an accident left in a workspace: mended where it can be, else named with what to do."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.lock import Lock

from stages.base.errors import InputError
from stages.base.progress import LIVE
from stages.base.workspace import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    yield tmp_path
    tmp_path.chmod(0o755)


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    usage = shutil.disk_usage("/")._replace(free=size)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


@pytest.mark.parametrize("content", [b"", b'{"read": {', b"\xff\xfe", b"[]"])
def test_a_list_of_readers_that_is_none_is_removed(folder: Path, content: bytes) -> None:
    rwlock = folder / ".dvc/tmp/rwlock"
    rwlock.write_bytes(content)
    prepare(folder)
    assert not rwlock.exists()


def test_what_a_killed_stage_last_said_of_itself_is_removed(folder: Path) -> None:
    live = folder / LIVE / "train_cnn@paper-1.json"
    live.parent.mkdir(parents=True)
    live.write_text("{}")
    prepare(folder)
    assert not live.exists()


def test_a_list_of_readers_stays(folder: Path) -> None:
    rwlock = folder / ".dvc/tmp/rwlock"
    content = json.dumps({"read": {"a": [{"pid": 1, "cmd": "dvc"}]}, "write": {}})
    rwlock.write_text(content)
    prepare(folder)
    assert rwlock.read_text() == content


def test_a_list_that_dvc_writes_just_now_is_left_to_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0.1)
    rwlock = folder / ".dvc/tmp/rwlock"
    rwlock.touch()
    with (
        Lock(str(rwlock.with_name("rwlock.lock"))),
        pytest.raises(InputError, match="a command of DVC runs in this workspace"),
    ):
        prepare(folder)
    assert rwlock.exists()


@pytest.mark.parametrize(
    "content", ["", "schema: '2.0'\n", "stages: {a: {cmd", "stages: []\n", "stages: {a: 1}\n"]
)
def test_a_damaged_lock_is_named_and_not_taken_for_none(folder: Path, content: str) -> None:
    (folder / "dvc.lock").write_text(content)
    with pytest.raises(InputError, match=r"dvc\.lock: damaged; restore it: git checkout -- "):
        prepare(folder)
    assert (folder / "dvc.lock").read_text() == content


def locked(folder: Path, **sizes: Any) -> None:
    outs = [{"path": path.replace("_", "/"), "size": size} for path, size in sizes.items()]
    outs.append({"path": "empty"})  # DVC records no size of what has none
    (folder / "dvc.lock").write_text(json.dumps({"stages": {"a": {"outs": outs}}}))


def test_a_disk_must_hold_thrice_what_stages_make(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked(folder, part=30_000_000, table=20_000_000)
    free(monkeypatch, 150_000_000)
    prepare(folder)
    free(monkeypatch, 149_999_999)
    with pytest.raises(InputError, match="needs 150 MB; make room"):
        prepare(folder)


@pytest.mark.parametrize("known", [False, True])
def test_a_disk_must_hold_something(
    folder: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if known:
        locked(folder, part=1)
    free(monkeypatch, 50_000_000)
    prepare(folder)
    free(monkeypatch, 49_999_999)
    with pytest.raises(InputError, match="needs 50 MB"):
        prepare(folder)


def test_a_folder_that_is_no_clone_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: no git repository")):
        prepare(tmp_path)


def test_a_workspace_that_cannot_be_written_to_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # to root every folder can be written to, whatever its mode
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match="cannot be written to"):
        prepare(folder)
