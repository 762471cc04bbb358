"""The headline: its numbers are those of the verdict's rules, whatever else was trained."""

import pandas as pd
import pytest

from stages.base.params import LearningRule
from stages.verdict import DIMENSIONS, headline

VERDICT = {name: {"ours": 17.0, "outcome": "equivalent"} for name in DIMENSIONS.values()}
LAWS = pd.DataFrame(
    {
        "configuration": ["first", "first", "paper", "paper", "paper"],
        "definition": [*["first_under"] * 4, "for_good"],
        "tasks": ["all", "learned", "all", "learned", "learned"],
        "slope": [-0.5, -0.6, float("nan"), -0.83899, -0.94161],
        "learned": [15, 15, 111, 111, 108],
    }
)


def test_parity_is_of_the_configuration_that_the_verdict_names_whatever_the_order() -> None:
    rule = LearningRule(configuration="paper", definition="first_under", tasks="learned")
    for laws in (LAWS, LAWS[::-1]):
        found = headline(VERDICT, laws, rule)
        assert (found["parity_slope"], found["learned"]) == (-0.839, 111)
    assert found["d_hidden"] == 17.0
    assert found["equivalent"] == len(VERDICT)


@pytest.mark.parametrize(
    ("configuration", "tasks", "learned"), [("other", "all", None), ("paper", "all", 111)]
)
def test_what_was_not_trained_or_has_no_law_has_no_number(
    configuration: str, tasks: str, learned: int | None
) -> None:
    named = {"configuration": configuration, "definition": "first_under", "tasks": tasks}
    rule = LearningRule.model_validate(named)
    found = headline(VERDICT, LAWS, rule)
    assert found["parity_slope"] is None
    assert found["learned"] == learned
