"""Stage `import_runs`: runs that were trained elsewhere as a sweep, and how good they are.

    python -m stages.import_runs RUNS --out PART

RUNS is a folder of TensorBoard's logs, of which every event file is one run, or a table of runs
(.csv, .parquet). Writes the table PART (parquet), and beside it PART-widths.csv and PART-files.csv:
what was found of each width, which is printed too, and of each run. docs/import.md and
docs/tensorboard.md say what they must have. 1,000 event files with 200,000 scalars take about 3 s
of one core.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stages.base import errors, files, item, params
from stages.tensorboard import imported, quality
from stages.tensorboard.part import import_part


def specify(settings: list[str], base: dict[str, Any]) -> params.Import:
    """An import's params from `key=value` settings: `tags.train_loss=loss`, `epoch.first=1`.

    Raises:
        InputError: one is no setting, names no key, or has a bad value.
    """
    content = base
    for setting in settings:
        key, equals, value = setting.partition("=")
        *sections, last = key.split(".")
        inner = content
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                raise errors.InputError(f"--set {setting}: {section} has no keys")
        if not equals:
            raise errors.InputError(f"--set {setting}: expected key=value")
        inner[last] = yaml.safe_load(value)
    try:
        return params.Import.model_validate(content)
    except ValidationError as error:
        raise errors.InputError(
            "\n".join(
                f"--set {'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            )
        ) from None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="?", metavar="RUNS")
    parser.add_argument("--out", type=Path, metavar="PART", help="a parquet file")
    parser.add_argument("--name", help="of the sweep, by which params.yaml may know it")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="instead of imports.NAME of params.yaml: tags.train_loss=loss, epoch.first=1",
    )
    arguments = parser.parse_args(item.arguments("--name"))
    p = params.load()
    name, out = arguments.name or (arguments.out or Path()).stem, arguments.out
    known = p.imports[name].model_dump() if name in p.imports else {}
    if arguments.runs:
        known["runs"] = str(arguments.runs)
    if "runs" not in known or not (out or name in p.imports):
        parser.error("name RUNS and --out, or by --name an import of params.yaml")
    spec = specify(arguments.set, known)
    table, found = imported.read(name, Path(spec.runs), spec, p.fit.failed_above)
    widths, kind = quality.of_widths(found), "files"
    if spec.runs.endswith(params.TABLES):
        widths, kind = widths.drop(columns=quality.OF_LOGS), "runs found"
    part = import_part(name, spec, out)
    part.write(table)
    for about, frame in [("widths", widths), ("files", found)]:
        files.write(part.beside(about), frame.to_csv(index=False))
    print(widths.to_string(index=False, na_rep="?"))
    runs = len(table[["width", "seed"]].drop_duplicates())
    print(f"{len(found)} {kind}, {runs} runs in the table")


if __name__ == "__main__":
    errors.run(main)
