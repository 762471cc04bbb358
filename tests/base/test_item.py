"""Which item of its family a stage makes: as DVC says, or as it is told by hand."""

import pytest

from stages.base import item


@pytest.mark.parametrize(
    ("stage", "given", "expected"),
    [
        (None, ["paper", "8"], ["paper", "8"]),
        ("validate", ["--x"], ["--x"]),
        ("train_cnn@paper-8", [], ["paper", "8"]),
        ("train_parity_alpha@0.1", ["--family"], ["0.1", "--family"]),
        ("train_cnn@a; touch X-$(b)", [], ["a; touch X", "$(b)"]),
    ],
)
def test_the_item_comes_before_the_arguments(
    monkeypatch: pytest.MonkeyPatch, stage: str | None, given: list[str], expected: list[str]
) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    if stage:
        monkeypatch.setenv("DVC_STAGE", stage)
    monkeypatch.setattr("sys.argv", ["stage", *given])
    assert item.arguments() == expected
    named = item.arguments("--name")
    assert named == (["--name", *expected] if "@" in str(stage) else expected)
