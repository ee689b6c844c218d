"""What a mutant is, and what can be said of one without running anything."""

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """One guarantee taken away by one edit, and the tests that must notice.

    Parameters
    ----------
    name
        Unique, in words joined by hyphens.
    guarantee
        What holds without the edit, as one sentence.
    file
        Edited file, relative to the repository root.
    old, new
        Text that stands in the file exactly once, and what replaces it.
    tests
        Files or node ids, relative to the root, of which at least one test must fail.
    """

    name: str
    guarantee: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> str:
        """Return the text of the file with the edit.

        Raises
        ------
        ValueError
            If the old text does not stand there exactly once, or the result is no Python.
        """
        path = root / self.file
        if not path.is_file():
            raise ValueError(f"{self.file} does not exist")
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"the old text occurs {count} times in {self.file}, expected once")
        if self.old == self.new:
            raise ValueError("the new text is the old one")
        edited = text.replace(self.old, self.new)
        try:
            ast.parse(edited)
        except SyntaxError as error:
            raise ValueError(f"{self.file} is no Python after the edit: {error}") from error
        return edited


def problems(mutants: tuple[Mutant, ...], root: Path) -> list[str]:
    """Say what is wrong with declared mutants: an old text that is gone, a test that does not exist, a name twice."""
    found = [f"{name}: declared more than once" for name in _repeated([mutant.name for mutant in mutants])]
    for mutant in mutants:
        try:
            mutant.apply(root)
        except ValueError as error:
            found.append(f"{mutant.name}: {error}")
        if not mutant.tests:
            found.append(f"{mutant.name}: names no test")
        found += [f"{mutant.name}: {test} does not exist" for test in mutant.tests if not _exists(test, root)]
    return found


def _exists(test: str, root: Path) -> bool:
    file, _, name = test.partition("::")
    path = root / file
    if not path.is_file():
        return False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return not name or name.rpartition("::")[2].partition("[")[0] in functions


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
