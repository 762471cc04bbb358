"""Tables and numbers that stages leave: what cannot be read is named, with what to do."""

from pathlib import Path

import pandas as pd
import pytest

from stages.base import tables
from stages.base.errors import InputError


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *[("a.csv", content) for content in (None, "", '"')],
        *[
            (f"a.{kind}", content)
            for kind in ("parquet", "json")
            for content in (None, "", "{", "PAR1")
        ],
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_remedy(
    tmp_path: Path, name: str, content: str | None
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        tables.read_json(path) if name == "a.json" else tables.read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(f"make it again: dvc repro, or restore it: git checkout -- {path}")
    assert "\n" not in said


def test_a_table_lacks_columns_or_rows_by_name(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"a": []}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"a\.csv: no column b, column c; remove it and make"):
        tables.read(tmp_path / "a.csv", ["a", "b", "c"])
    with pytest.raises(InputError, match=r"b\.parquet: no rows; remove it and make"):
        tables.read(tmp_path / "b.parquet", ["a"])
    assert tables.read(tmp_path / "b.parquet").empty


def test_texts_stay_text_and_numbers_keep_their_digits(tmp_path: Path) -> None:
    table = pd.DataFrame({"seeds": ["1", "02"], "value": [1 / 3, 2e-9]})
    tables.write(table, tmp_path / "a.csv", digits=3)
    assert (tmp_path / "a.csv").read_text() == "seeds,value\n1,0.333\n02,2e-09\n"
    assert tables.read(tmp_path / "a.csv", texts=["seeds"])["seeds"].tolist() == ["1", "02"]
