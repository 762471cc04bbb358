"""Stage `train_study`: every width and seed of one study into one part.

    python -m stages.train_study paper_keras
    python -m stages.train_study manifold_4 --regime

A study (section `studies` of params.yaml) is a network of stages/networks on images of section
`images`, at widths of its own. Beside the part go weights of each width. Meant for a GPU: 13 widths
of the CNN with 10 seeds of 50 epochs of batches of 32 are some minutes on an H200, 7 widths of
Sharma & Kaplan's network for MNIST four on an H100; on two cores either takes hours.

Stage `train_regime` trains a study again with each change of section `regime`, into one part.
"""

import argparse

from stages.base import errors, item, params
from stages.cnn import part as cnn_part
from stages.images.stored import stored
from stages.studies.train import train, train_changed
from stages.training import device


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study")
    parser.add_argument("--regime", action="store_true", help="with each change of that section")
    arguments = parser.parse_args(item.arguments())
    name, p = arguments.study, params.load()
    study = params.lookup(p.studies, name, "studies")
    named = p.named_images(study.images)
    images = stored(named.name, named.settings)
    if arguments.regime:
        changed = params.lookup(p.changed, name, "regime.studies")
        train_changed(cnn_part.regime_part(named, name, changed), changed, images, device.choose())
    else:
        train(cnn_part.study_part(named, name, study), name, study, images, device.choose())


if __name__ == "__main__":
    errors.run(main)
