"""Strategy files: frozen values, whose unknown keys are named with the known ones."""

from pathlib import Path

import pytest

from lake.errors import ConfigError, UnknownNameError
from serving.backtest import example_names, load_strategy, parse_strategy


@pytest.mark.parametrize("name", example_names())
def test_every_packaged_example_can_be_loaded_and_is_described(name: str) -> None:
    file = load_strategy(name)
    assert file.described
    assert parse_strategy(__import__("json").loads(file.text)) == file, "its text says all of it"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "a", "pool": "ridge", "capitel": 1}, "Unknown key 'capitel'. Did you mean 'capital'?"),
        ({"name": "a", "pool": "ridge", "costs": {"fee": 1}}, "Unknown key 'costs.fee'"),
        ({"name": "a", "pool": "ridge", "costs": {"fee_bp": 1}}, "Did you mean 'fee_bps'?"),
        ({"name": "a", "pool": "ridge", "folds": {"length": 1}}, "There are sessions, embargo_sessions"),
        ({"name": "a"}, "exactly one of pool, members, weights and equal_weight must be given, found none of them"),
        ({"name": "a", "pool": "ridge", "equal_weight": True}, "found pool, equal_weight"),
        ({"name": "a", "pool": "oracle"}, "pool must be one of selected, naive"),
        ({"name": "a", "weights": {"AAA": 0.8, "BBB": -0.4}}, "must sum to 1 at most"),
        ({"name": "a", "members": {"ridge": 0.0}}, "not all 0"),
        ({"name": "a", "pool": "ridge", "costs": {"fee_bps": -1}}, "fee_bps = -1"),
        (["a"], "must hold keys and values"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(values: object, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_strategy(values)
    assert said in str(raised.value)


def test_a_file_of_ones_own_is_read_and_one_that_is_not_there_lists_the_examples(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nweights: {AAA: 0.5}\n", encoding="utf-8")
    assert load_strategy(path).weights == {"AAA": 0.5}
    path.write_text("name: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_strategy(path)
    with pytest.raises(UnknownNameError, match="ridge"):
        load_strategy("rigde")


def test_what_decides_the_returns_is_a_trial_and_the_name_is_not() -> None:
    first = parse_strategy({"name": "a", "pool": "ridge"})
    assert (
        first.scored_parameters() == parse_strategy({"name": "b", "pool": "ridge", "shuffles": 0}).scored_parameters()
    )
    dearer = parse_strategy({"name": "a", "pool": "ridge", "costs": {"fee_bps": 2}})
    assert first.scored_parameters() != dearer.scored_parameters()
