"""Stage `train_study`: every width and seed of one study into one part.

    python -m stages.train_study paper_keras

A study (section `studies` of params.yaml) is a network of stages/networks on images of section
`images`, at widths of its own. Beside the part go the weights of each width's seed 0. Meant for a
GPU: 13 widths of the CNN with 10 seeds of 50 epochs of batches of 32 are some minutes on an H200,
7 widths of Sharma & Kaplan's network for MNIST four on an H100; on two cores either takes hours.
"""

import argparse

from stages.base import errors, item, params
from stages.cnn import part as cnn_part
from stages.images.stored import stored
from stages.studies.train import train
from stages.training import device


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study")
    name = parser.parse_args(item.arguments()).study
    p = params.load()
    study = params.lookup(p.studies, name, "studies")
    named = p.named_images(study.images)
    part = cnn_part.study_part(named, name, study)
    train(part, name, study, stored(named.name, named.settings), device.choose())


if __name__ == "__main__":
    errors.run(main)
