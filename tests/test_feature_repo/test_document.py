"""The page of features tells the truth about itself: what it shows can be run."""

import re

import numpy as np

from feature_repo.catalog import GROUPS
from feature_repo.document import ADDING, features_page
from feature_repo.spec import Feature, FeatureGroup


def test_the_example_of_adding_a_feature_runs() -> None:
    said = "\n".join(re.findall(r"```python\n(.*?)```", ADDING, re.DOTALL))
    names: dict[str, object] = {"__name__": "example"}
    exec(said.replace("\nFeature(", "\nadded = Feature("), names)
    added = names["added"]
    assert isinstance(added, Feature)
    values = added.function.python(np.array([1.0, 3.0, 6.0]), np.array([2.0, 4.0, 8.0]), *added.parameters)
    np.testing.assert_array_equal(values, [np.nan, 0.5, 0.5])
    assert added.column.minimum == -1


def test_a_group_is_listed_with_its_longest_look_back_and_warm_up() -> None:
    group = GROUPS[0]
    page = features_page([group])
    assert f"- [`features_{group.name}`](#features_{group.name}): {len(group.features)} features, " in page
    assert f"look-back {group.lookback} bars, warm-up {group.warm_up}" in page


def test_a_bar_in_a_formula_does_not_break_the_table() -> None:
    words = {"unit": "x", "formula": "|r|", "meaning": "x"}
    feature = GROUPS[0].features[0]
    odd = Feature("odd", feature.function, feature.inputs, 1, parameters=feature.parameters, **words)
    rows = [line for line in features_page([FeatureGroup("odd", "x", (odd,))]).splitlines() if line.startswith("| `")]
    assert rows == [r"| `odd` | x | \|r\| | x | 1 | 1 | never after the first value | yes |  |"]
