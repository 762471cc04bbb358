"""What has ended and is not yet recorded: there whole or not at all, whatever stops a step."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.sweeping.finished import Finished
from stages.sweeping.work import Result, Task

TASK = Task("train_cnn@a", "stages.noop", ("a",), (), ("out/a.a", "out/a.b"), "key")


def result(content: bytes) -> Result:
    return Result(TASK, outs=dict.fromkeys(TASK.outs, content))


def after(count: int) -> Callable[..., None]:
    """`os.replace`, interrupted once it has been called so often."""
    replace, calls = os.replace, []

    def counted(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) > count:
            raise KeyboardInterrupt
        replace(source, target)

    return counted


def test_an_interrupt_of_keeping_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = Finished(tmp_path / "finished")
    monkeypatch.setattr("os.replace", after(0))
    with pytest.raises(KeyboardInterrupt):
        finished.add(result(b"one"))
    assert finished.keys() == {}
    monkeypatch.undo()
    finished.add(result(b"two"))
    assert finished.keys() == {TASK.name: "key"}


@pytest.mark.parametrize("placed", [0, 1])
def test_an_interrupt_of_placing_leaves_each_out_whole_and_the_rest_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, placed: int
) -> None:
    finished, root = Finished(tmp_path / "finished"), tmp_path / "root"
    for path in TASK.outs:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"old")
    finished.add(result(b"new"))
    monkeypatch.setattr("os.replace", after(placed))
    with pytest.raises(KeyboardInterrupt):
        finished.place(TASK.name, root)
    monkeypatch.undo()
    found = sorted(path.read_bytes() for path in (root / "out").iterdir())
    assert found == sorted([b"new"] * placed + [b"old"] * (2 - placed))
    assert finished.keys() == {TASK.name: "key"}
    finished.place(TASK.name, root)
    assert [path.read_bytes() for path in (root / "out").iterdir()] == [b"new", b"new"]
