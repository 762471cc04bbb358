"""Stage `train_students`: every teacher's students of one configuration, into one part."""

import argparse

from safetensors.numpy import save_file

from stages import errors, params, runs
from stages.students.part import part
from stages.students.train import train
from stages.training import device, progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration")
    name = parser.parse_args().configuration

    configurations = params.load().students.configurations()  # type: ignore[attr-defined]
    c = params.lookup(configurations, name, "students")
    made = part(name, c)
    total = c.teachers * len(c.widths) * c.seeds * c.steps
    with progress.Progress(f"train_students {name}", total, "student-steps") as report:
        trained = train(c, device.choose(), report)

    with runs.aside(made.weights) as path:
        save_file(trained.networks(), path, metadata={"fingerprint": made.fingerprint})
    rows = {"configuration": name, "dimension": c.dimension, "loss_function": str(c.loss)}
    made.write(trained.frame().assign(**rows))


if __name__ == "__main__":
    errors.run(main)
