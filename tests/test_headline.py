"""The headline: its numbers are those of the verdict's rules, whatever else was trained."""

import pandas as pd
import pytest

from stages.base.params import LearningRule
from stages.headline import DIMENSIONS, headline

VERDICT = {name: {"ours": 17.0, "outcome": "reproduced"} for name in DIMENSIONS.values()}
LAWS = pd.DataFrame(
    {
        "configuration": ["first", "first", "paper", "paper"],
        "tasks": ["all", "learned"] * 2,
        "slope": [-0.5, -0.6, float("nan"), -0.94161],
        "learned": [15, 15, 108, 108],
    }
)


def test_parity_is_of_the_configuration_that_the_verdict_names_whatever_the_order() -> None:
    rule = LearningRule(configuration="paper", tasks="learned")
    for laws in (LAWS, LAWS[::-1]):
        found = headline(VERDICT, laws, rule)
        assert (found["parity_slope"], found["learned"]) == (-0.9416, 108)
    assert found["d_hidden"] == 17.0
    assert found["reproduced"] == len(VERDICT)


@pytest.mark.parametrize(
    ("configuration", "tasks", "learned"), [("other", "all", None), ("paper", "all", 108)]
)
def test_what_was_not_trained_or_has_no_law_has_no_number(
    configuration: str, tasks: str, learned: int | None
) -> None:
    rule = LearningRule.model_validate({"configuration": configuration, "tasks": tasks})
    found = headline(VERDICT, LAWS, rule)
    assert found["parity_slope"] is None
    assert found["learned"] == learned
