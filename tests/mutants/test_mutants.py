"""The declared mutants are in order, none of them lives, and the runner tells the dead from the living."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

CODE = """
def price(amount: int) -> int:
    if amount < 0:
        raise ValueError("negative")
    return 2 * amount
"""
TESTS = """
import pytest

from shop.prices import price


@pytest.fixture
def three():
    return price(3)


def test_a_price_is_twice_the_amount(three):
    assert three == 6


def test_a_negative_amount_is_refused():
    with pytest.raises(ValueError):
        price(-1)


def test_none_of_all_this():
    assert price(0) == 1


@pytest.mark.slow
def test_in_hours():
    assert price(1) == 2
"""
SETTINGS = """
[tool.pytest.ini_options]
addopts = "--import-mode=importlib --strict-markers -p no:hypothesispytest -p no:anyio"  # take longer than the tests
markers = ["slow: hours", "gpu: none here"]
"""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = [sys.executable, str(HERE / "run.py"), *arguments]
    return subprocess.run(done, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_edit_has_its_place_and_every_test_is_there() -> None:
    done = command("--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_no_mutant_lives() -> None:
    done = command()
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_every_mutant_and_its_guarantee() -> None:
    listed = command("--list").stdout.splitlines()
    page = (ROOT / "docs" / "mutants.md").read_text(encoding="utf-8")
    told = [
        f"| {guarantee.strip()} | `{name.split()[0]}` in"
        for name, guarantee in zip(listed[::3], listed[1::3], strict=True)
    ]
    assert [one for one in told if one not in page] == [], "run `make mutants`"
    assert f"{len(told)} mutants, all killed" in page


def test_a_pattern_that_means_no_mutant_is_refused() -> None:
    done = command("-k", "no such thing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--list" in done.stderr


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the runner's own modules, which lie beside one another in a folder that is no package."""
    monkeypatch.syspath_prepend(HERE)
    import judging
    import mutant

    return SimpleNamespace(Mutant=mutant.Mutant, problems=mutant.problems, judge_all=judging.judge_all)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a small repository with one module and its tests."""
    root = tmp_path / "shop"
    for name, text in (("shop/__init__.py", ""), ("shop/prices.py", CODE), ("tests/test_prices.py", TESTS)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "pyproject.toml").write_text(SETTINGS)
    return root


@pytest.mark.parametrize(
    ("names", "jobs"),
    [
        pytest.param(("killed", "survived", "in a fixture"), 1, id="short"),
        pytest.param((), 2, id="all", marks=pytest.mark.slow),
    ],
)
def test_only_a_test_that_fails_by_itself_kills(
    runner: SimpleNamespace, shop: Path, tmp_path: Path, names: tuple[str, ...], jobs: int
) -> None:
    tests = "tests/test_prices.py"
    twice, refused = f"{tests}::test_a_price_is_twice_the_amount", f"{tests}::test_a_negative_amount_is_refused"
    cases = {
        "killed": ("if amount < 0:", "if False:", refused, "killed", refused),
        "survived": ("2 * amount", "3 * amount", refused, "survived", refused),
        "in a fixture": ("2 * amount", "1 / 0", twice, "broken", "failed at setup"),
        "no name": ("if amount < 0:", "if amount < nothing:", refused, "broken", "NameError"),
        "no import": ("def price", "import nowhere\n\n\ndef price", refused, "broken", "nowhere"),
        "fails anyway": ("2 * amount", "3 * amount", f"{tests}::test_none_of_all_this", "broken", "without the mutant"),
        "slow": ("2 * amount", "3 * amount", f"{tests}::test_in_hours", "broken", "is it marked slow?"),
    }
    cases = {name: case for name, case in cases.items() if name in (names or cases)}
    before = {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()}
    mutants = [
        runner.Mutant(name, "A price is right.", "shop/prices.py", old, new, (test,))
        for name, (old, new, test, _, _) in cases.items()
    ]
    assert runner.problems(tuple(mutants), shop) == []
    heard: list[object] = []
    found = runner.judge_all(mutants, shop, tmp_path / "copies", jobs, heard.append)
    assert {one.mutant.name: one.state for one in found} == {name: case[3] for name, case in cases.items()}
    for one in found:
        assert cases[one.mutant.name][4] in one.by
    assert sorted(map(id, heard)) == sorted(map(id, found))
    assert {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()} == before, "the checkout was touched"


def test_a_list_that_has_rotted_is_named(runner: SimpleNamespace, shop: Path) -> None:
    def problems(*, file: str = "shop/prices.py", old: str = "2 * amount", new: str = "0", test: str = "") -> list[str]:
        tests = (f"tests/test_prices.py{test}",)
        found: list[str] = runner.problems((runner.Mutant("one", "It is right.", file, old, new, tests),), shop)
        return found

    assert problems() == []
    assert problems(test="::test_none_of_all_this[0]") == []
    assert problems(file="shop/gone.py") == ["one: shop/gone.py does not exist"]
    assert problems(old="amount") == ["one: the old text occurs 3 times in shop/prices.py, expected once"]
    assert problems(old="price(x)") == ["one: the old text occurs 0 times in shop/prices.py, expected once"]
    assert problems(new="2 * amount") == ["one: the new text is the old one"]
    assert "is no Python after the edit" in problems(new="2 *")[0]
    assert problems(test="::test_gone") == ["one: tests/test_prices.py::test_gone does not exist"]
    twice = runner.Mutant("one", "It is right.", "shop/prices.py", "2 * amount", "0", ("tests/test_prices.py",))
    assert runner.problems((twice, twice), shop) == ["one: declared more than once"]
