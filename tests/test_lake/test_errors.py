"""An unknown name is answered with the nearest known ones."""

import inspect

import pytest

from lake import errors
from lake.errors import QuantlakeError, UnknownNameError


def test_every_error_is_of_one_tree_and_drawn_in_it() -> None:
    declared = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert len(declared) > 10
    for kind in declared:
        assert issubclass(kind, QuantlakeError)
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "nearest"), [("APPL", ["AAPL"]), ("aapl", ["AAPL"]), ("goog ", ["GOOG"]), ("zzzzzz", [])]
)
def test_a_misspelt_name_gets_the_nearest(name: str, nearest: list[str]) -> None:
    error = UnknownNameError("symbol", name, ["AAPL", "GOOG", "IBM"])
    assert error.nearest[: len(nearest)] == nearest
    assert str(error).startswith(f"There is no symbol '{name}'.")


def test_a_name_like_none_gets_the_list() -> None:
    error = UnknownNameError("symbol", "zzzzzz", ["GOOG", "AAPL"])
    assert str(error) == "There is no symbol 'zzzzzz'. Known: AAPL, GOOG."
