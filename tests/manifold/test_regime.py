"""What decides whether 4/alpha is d: what is said of simulated sweeps whose exponents are known."""

from pathlib import Path

import pandas as pd

from stages.base import tables
from stages.manifold import regime
from tests.helpers.simulated_cnn import RESAMPLING, sweep


def changed(known: int, **values: float) -> dict[str, pd.DataFrame]:
    """Simulated sweeps of so much 4/alpha, by the change."""
    return {name: sweep(value, known + i) for i, (name, value) in enumerate(values.items())}


SWEEPS = {
    ("four", 4): changed(4, unchanged=20, soft_labels=4, fresh_images=20),
    ("eight", 8): changed(8, unchanged=20, soft_labels=13, fresh_images=5),
}
TABLE = regime.table(SWEEPS, "best", 0.1, RESAMPLING)


def test_each_exponent_is_that_of_its_change() -> None:
    rows = TABLE[(TABLE["quantity"] == "test_loss") & (TABLE["widths"] == "all")]
    wanted = [20, 4, 20, 20, 13, 5]
    assert (abs(rows["dimension"] / wanted - 1) < 0.05).all()
    assert (rows["ratio"] == rows["dimension"] / rows["known"]).all()
    assert rows["outcome"].tolist() == ["different", "equivalent", *["different"] * 4]
    assert rows["side"].tolist() == ["above", "holds", *["above"] * 3, "below"]


def test_it_is_said_which_changes_make_it_less_and_where_it_then_lies() -> None:
    _, _, unchanged, soft, fresh, _, *lines = regime.statement(TABLE).splitlines()
    assert unchanged == "- unchanged: its interval lies above it at d = 4, 8."
    assert soft == (
        "- soft labels: it is less at d = 4, 8; its interval holds the theory's value at d = 4 "
        "and lies above it at d = 8."
    )
    assert fresh == (
        "- fresh images: it is less at d = 8; its interval lies below it, as a bound allows at "
        "d = 8 and lies above it at d = 4."
    )
    assert lines[0].startswith("- d = 4: unchanged 19.")
    assert "soft labels 4.0 (" in lines[0]


def test_a_change_without_an_interval_is_not_said_to_help() -> None:
    flat = sweep(4, 5).assign(validation_loss=1.0)
    table = regime.table(
        {("four", 4): {"unchanged": sweep(20, 4), "soft": flat}}, "best", 0.1, RESAMPLING
    )
    assert "- soft: it is less at none; its interval is none at d = 4." in regime.statement(table)


def test_without_studies_there_is_a_table_all_the_same(tmp_path: Path) -> None:
    table = regime.table({}, "best", 0.1, RESAMPLING)
    tables.write(table, tmp_path / "regime.csv")
    assert tables.read(tmp_path / "regime.csv").columns.tolist() == regime.COLUMNS
    assert regime.statement(table) == "No study is trained otherwise.\n"
