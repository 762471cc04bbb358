"""Which item of its family a stage makes, where DVC runs it.

No command of dvc.yaml holds a name, a width or a path of params.yaml: a shell would run whatever
stands in it, also where a stage is started by itself and nothing has validated the params before.
DVC says the item beside the command, in the environment.
"""

import os
import sys

VARIABLE = "DVC_STAGE"


def arguments(*before: str) -> list[str]:
    """The command line's arguments, behind `before` and the item's parts where DVC runs a stage.

    Of `train_cnn@paper-8` the parts are `paper` and `8`: no name has a `-` in it.
    """
    item = os.environ.get(VARIABLE, "").partition("@")[2]
    return [*before, *item.split("-"), *sys.argv[1:]] if item else sys.argv[1:]
