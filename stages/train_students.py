"""Stage `train_students`: every teacher's students of one configuration, into one part."""

import argparse

from safetensors.numpy import save_file

from stages.base import errors, files, item, params, progress
from stages.students.part import part
from stages.students.plan import configurations
from stages.students.train import train
from stages.training import device, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration")
    name = parser.parse_args(item.arguments()).configuration

    known = configurations(params.load().students)
    c = params.lookup(known, name, "students.configurations")
    made = part(name, c)
    runs = c.teachers * len(c.widths) * c.seeds
    label, total = f"train_students {name}", runs * c.steps
    chosen = device.choose()
    with progress.Progress(label, total, "student-steps", made.stage, runs) as report:
        keeping = kept.of(made, chosen, report, ["students"])
        trained = train(c, chosen, report, keeping)

    with files.aside(made.weights) as path:
        save_file(trained.networks(), path, metadata={"fingerprint": made.fingerprint})
    rows = {"configuration": name, "dimension": c.dimension, "loss_function": str(c.loss)}
    made.write(trained.frame().assign(**rows))
    keeping.remove()


if __name__ == "__main__":
    errors.run(main)
