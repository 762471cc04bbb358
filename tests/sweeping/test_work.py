"""What a worker returns: it says what was made, and the head says where that belongs."""

from pathlib import Path

import pytest

from stages.sweeping import work
from stages.sweeping.work import Result, Share, Task
from stages.training import kept

TASK = Task("train_cnn@a", "stages.noop", ("a",), (), ("out/a.a", "out/a.b"), "key")
OUTS = {"out/a.a": b"a", "out/a.b": b"b"}


def test_the_outs_of_a_task_are_its_result() -> None:
    result = Result(TASK, 2.0, dict(OUTS))
    assert result.of(TASK) == result


@pytest.mark.parametrize(
    "outs",
    [
        OUTS | {"stages/evil.py": b""},
        {"out/a.a": b"a", "../out/a.b": b"b"},
        {"out/a.a": b"a", "/tmp/evil": b"b"},
        {"out/a.a": b"a"},
        {},
    ],
)
def test_other_files_than_its_outs_are_a_fault_and_go_nowhere(outs: dict[str, bytes]) -> None:
    result = Result(TASK, 2.0, outs).of(TASK)
    assert result.fault.startswith("its worker returned ")
    assert result.outs == {}


def test_a_worker_does_not_say_whose_its_result_is() -> None:
    other = Task("../../x", "stages.noop", (), (), ("stages/evil.py",), "another key")
    assert Result(other, outs=dict(OUTS)).of(TASK).task == TASK
    assert Result(other, outs={"stages/evil.py": b""}).of(TASK).fault
    assert Result(other, fault="no luck").of(TASK) == Result(TASK, fault="no luck")


def test_what_a_stage_keeps_aside_is_there_when_it_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Path(work.KEPT) == kept.FOLDER
    monkeypatch.syspath_prepend(tmp_path)
    state = (
        "from pathlib import Path\n"
        f"kept = Path({work.KEPT!r}) / 'noop@a/state'\n"
        "if not kept.exists():\n"
        "    kept.parent.mkdir()\n"
        "    kept.touch()\n"
        "    raise SystemExit(1)\n"
        "Path('out').write_text('made')\n"
    )
    (tmp_path / "keeping_noop.py").write_text(state)
    inputs = tmp_path / "workspace"
    inputs.mkdir()
    task = Task("noop@a", "keeping_noop", (), (), ("out",), "key")
    first, second = (
        work.run(task, inputs, tmp_path / "scratch", tmp_path / "log", Share()) for _ in range(2)
    )
    assert first.fault
    assert second.outs == {"out": b"made"}
