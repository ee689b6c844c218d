"""Runs the examples in docstrings, for the tests of every room."""

import doctest
import importlib
from typing import Any

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def failed_examples(name: str, options: int = 0, **given: Any) -> str:
    """Run the examples of a module; return what doctest prints of those that fail.

    Parameters
    ----------
    options
        Flags of doctest, such as `OPTIONS`; by default the output has to be the same to the letter.
    given
        Names that the examples find beside those of the module.
    """
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=options)
    found = [t for t in doctest.DocTestFinder().find(importlib.import_module(name), extraglobs=given) if t.examples]
    for test in found:
        runner.run(test, out=printed.append)
    assert found, f"{name} has no example"
    return "".join(printed)
