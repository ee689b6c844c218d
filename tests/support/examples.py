"""Runs the examples in docstrings, for the tests of every room."""

import doctest
import importlib
from pathlib import Path
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


def modules_with_examples(room: str) -> list[str]:
    """Return the modules of a room that show an example in a docstring, by name."""
    root = Path(__file__).parents[2]
    found = [path for path in (root / room).rglob("*.py") if ">>>" in path.read_text(encoding="utf-8")]
    names = (path.relative_to(root).with_suffix("").parts for path in found)
    return sorted(".".join(parts).removesuffix(".__init__") for parts in names)
