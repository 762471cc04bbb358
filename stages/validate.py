"""Stage `validate`: params.yaml and published.yaml are valid as a whole, and networks there.

Every other stage comes after this one, so bad params stop the graph before any work. The output
never changes, so it makes nothing stale.
"""

from pathlib import Path

from stages.base import errors, files, params

NETWORKS = Path("stages/networks")


def main() -> None:
    for name, study in params.load().studies.items():
        path = NETWORKS / f"{study.network}.py"
        if not path.is_file():
            known = ", ".join(sorted({file.stem for file in NETWORKS.glob("*.py")} - {"__init__"}))
            raise errors.InputError(
                f"{params.PARAMS}: studies.{name}.network: no {path}; there is {known}, "
                "and docs/network.md adds one"
            )
    params.published()
    files.write(Path("metrics/params-valid.txt"), "params.yaml and published.yaml are valid\n")


if __name__ == "__main__":
    errors.run(main)
