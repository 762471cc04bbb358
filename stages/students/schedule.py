"""Adam's corrections over the phases of a configuration."""

import numpy as np
import numpy.typing as npt

from stages.students.configuration import Configuration
from stages.training.adam import Adam

OPTIMIZER = Adam(learning_rate=1.0, weight_decay=0.0, decoupled=False)
"""Its rate is each phase's: the schedule is that of rate 1, times the rates."""


def schedule(configuration: Configuration) -> npt.NDArray[np.float32]:
    """As `Adam.schedule`, (steps, 2); steps are counted through all phases."""
    phases = configuration.phases
    corrections = OPTIMIZER.schedule(configuration.steps)
    corrections[:, 0] *= np.repeat([p.learning_rate for p in phases], [p.steps for p in phases])
    return corrections
