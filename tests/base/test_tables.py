"""Tables and numbers that stages leave: what cannot be read is named, with what to do."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from stages.base import tables
from stages.base.errors import InputError
from tests.helpers.frozen import FROZEN


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *[("a.csv", content) for content in (None, "", '"')],
        *[("a.parquet", content) for content in (None, "", "{", "PAR1")],
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_remedy(
    tmp_path: Path, name: str, content: str | None
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        tables.read(path)
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


def carrying(path: Path, sections: dict[str, Any]) -> Path:
    tables.write_parquet(pd.DataFrame({"a": [1]}), path, pa.schema([("a", pa.int8())]), sections)
    return path


def test_a_table_carries_the_sections_that_made_it_and_they_replace_those_of_params(
    tmp_path: Path,
) -> None:
    other = FROZEN.model_copy(update={"cnn": FROZEN.cnn.model_copy(update={"widths": [3, 5]})})
    sections = other.model_dump(mode="json", include={"cnn", "imports"})
    path = carrying(tmp_path / "a.parquet", sections)
    assert tables.as_made(FROZEN, path) == other
    assert tables.read(path)["a"].tolist() == [1]


def test_a_table_of_other_params_than_the_rest_allows_is_refused(tmp_path: Path) -> None:
    sections = FROZEN.model_dump(mode="json", include={"cnn", "studies"})
    sections["cnn"]["sweeps"] = {"alone": sections["cnn"]["sweeps"]["notebook"]}  # none is judged
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "bare.parquet")
    for path, why in [
        (carrying(tmp_path / "a.parquet", sections), "verdict.fit.sweep must be one of alone"),
        (carrying(tmp_path / "b.parquet", {"cnn": 1}), "valid"),
        (tmp_path / "bare.parquet", "it does not say which params"),
        (tmp_path / "none.parquet", "No such file"),
    ]:
        with pytest.raises(InputError, match=rf"{path.name}: .*{why}.*make it again: dvc repro"):
            tables.as_made(FROZEN, path)
