"""Run declared mutants against the tests that must notice; see `make mutants`.

Tools such as mutmut and cosmic-ray were looked at and not taken. They generate every small edit of whole files, which
is thousands of runs here, most of them of edits that change nothing of importance, and their score is a share to be
argued about. What is wanted is the opposite: few edits, each chosen because it takes away a guarantee that is named,
each with the cheapest test that must notice, and none may live. That needs a list and a loop, not a generator.

A mutant is ``killed`` if a test fails, ``survived`` if all pass, and ``broken`` if nothing can be said: its old text is
gone, its tests do not run or fail without it, the failure is an import error or one of a fixture. The exit code is 1
unless every mutant is killed. Only tests that `make test` runs count, so none that is marked slow.
"""

# ruff: noqa: T201 - a command prints

import argparse
import sys
import tempfile
import time
from pathlib import Path

from declared import MUTANTS
from judging import Verdict, as_page, judge_all
from mutant import Mutant, problems

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the command; return its exit code."""
    asked = _arguments()
    chosen = tuple(mutant for mutant in MUTANTS if asked.pattern in f"{mutant.name} {mutant.file} {mutant.guarantee}")
    if not chosen:
        return _refuse(f"no mutant has '{asked.pattern}' in its name, file or guarantee; --list shows {len(MUTANTS)}")
    if asked.check or asked.list:
        return _check() if asked.check else _list(chosen)
    started = time.perf_counter()
    print(f"{len(chosen)} mutants, {asked.jobs} at a time; first their tests without any mutant ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        verdicts = judge_all(chosen, ROOT, Path(folder), asked.jobs, _say)
    living = [one for one in verdicts if one.state != "killed"]
    print(f"\n{len(chosen) - len(living)} of {len(chosen)} killed in {time.perf_counter() - started:.0f} s")
    for one in living:
        print(f"\n{one.state}: {one.mutant.name} ({one.mutant.file})\n  {one.mutant.guarantee}\n  {one.by}")
    if asked.page and not living and chosen == MUTANTS:
        asked.page.write_text(as_page(verdicts), encoding="utf-8")
    return 1 if living else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("-k", dest="pattern", default="", help="only those with this in name, file or guarantee")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")
    parser.add_argument("--check", action="store_true", help="check that every edit and test is there, and run nothing")
    parser.add_argument("--page", type=Path, help="Markdown page to write when all mutants were run and killed")
    return parser.parse_args()


def _say(verdict: Verdict) -> None:
    mutant, by = verdict.mutant, verdict.by.partition("\n")[0]
    by = f"by {by}" if verdict.state == "killed" else by
    print(f"{verdict.state:8} {verdict.seconds:5.1f} s  {mutant.name}  ({mutant.file})", flush=True)
    print(f"{'':19}{mutant.guarantee}\n{'':19}{by}", flush=True)


def _list(mutants: tuple[Mutant, ...]) -> int:
    for mutant in mutants:
        print(f"{mutant.name}  ({mutant.file})\n    {mutant.guarantee}\n    {', '.join(mutant.tests)}")
    return 0


def _check() -> int:
    found = problems(MUTANTS, ROOT)
    print("\n".join(found) if found else f"{len(MUTANTS)} mutants: every edit and every test is there")
    return 1 if found else 0


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
