"""Run mutants against their tests and say of each whether it was killed."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from checkout import Checkout, TestRun
from mutant import Mutant

LIMIT_SECONDS = 240.0
"""How long the tests of one mutant may take on a busy machine."""
NO_ANSWER = ("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "UnboundLocalError")
"""Failures that say that the mutant is no working code, and nothing about what the test watches."""

State = Literal["killed", "survived", "broken"]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant; `by` is the test that killed it, or why it is broken."""

    mutant: Mutant
    state: State
    by: str
    seconds: float


def judge_all(
    mutants: Sequence[Mutant], root: Path, folder: Path, jobs: int, heard: Callable[[Verdict], None]
) -> list[Verdict]:
    """Judge mutants, several at a time, each in a copy of the repository.

    First every test is run without a mutant: one that fails then, or is not there, says nothing when it fails later.

    Parameters
    ----------
    root
        Repository; only read.
    folder
        Empty folder for the copies.
    jobs
        How many copies are worked in at a time.
    heard
        Called with each verdict as it is reached.
    """
    every = [Checkout(root, folder / f"copy-{number}") for number in range(jobs)]
    copies: SimpleQueue[Checkout] = SimpleQueue()
    for made in every:
        copies.put(made)
    without = _without_mutant(mutants, copies, jobs)

    def one(mutant: Mutant) -> Verdict:
        copy, started = copies.get(), time.perf_counter()
        try:
            state, by = _judge(mutant, copy, without)
        except ValueError as error:
            state, by = "broken", str(error)
        finally:
            copies.put(copy)
        verdict = Verdict(mutant, state, by, time.perf_counter() - started)
        heard(verdict)
        return verdict

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(one, mutants))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for made in every:
                made.end()
            raise


def _without_mutant(mutants: Sequence[Mutant], copies: "SimpleQueue[Checkout]", jobs: int) -> TestRun:
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    parallel = ("-n", str(jobs), "--dist", "loadgroup") if jobs > 1 else ()
    copy = copies.get()
    run = copy.run(tests, _package(mutants[0]), LIMIT_SECONDS * max(1, len(mutants)), *parallel)
    copies.put(copy)
    return run


def _judge(mutant: Mutant, copy: Checkout, without: TestRun) -> tuple[State, str]:
    if reason := _says_nothing(mutant, without):
        return "broken", reason
    with copy.mutated(mutant):
        run = copy.run(mutant.tests, _package(mutant), LIMIT_SECONDS, "-x")
    return _answer_of(run, copy, mutant)


def _answer_of(run: TestRun, copy: Checkout, mutant: Mutant) -> tuple[State, str]:
    if not run.place.startswith(f"{copy.folder}/"):
        return "broken", f"the tests imported '{run.place}', not the copy in {copy.folder}: {run.output}"
    failed = [one for one in run.outcomes if one.outcome == "failed"]
    answers = [one for one in failed if one.when == "call" and not one.error.startswith(NO_ANSWER)]
    if answers:
        return "killed", answers[0].test
    if failed:
        return "broken", f"{failed[0].test} failed at {failed[0].when}, by no answer of a test: {failed[0].error}"
    if run.code is None:
        return "broken", f"the tests came to no end within {LIMIT_SECONDS:.0f} seconds"
    if run.code != 0 or not any(one.outcome == "passed" for one in run.outcomes):
        return "broken", f"no test was run (pytest ended with {run.code}): {run.output}"
    return "survived", ", ".join(mutant.tests)


def _says_nothing(mutant: Mutant, without: TestRun) -> str:
    """Why the tests of a mutant cannot judge it; empty where they can."""
    for test in mutant.tests:
        outcomes = [one for one in without.outcomes if _belongs(one.test, test)]
        if failed := [one for one in outcomes if one.outcome == "failed"]:
            return f"{failed[0].test} fails without the mutant too: {failed[0].error}"
        if not any(one.outcome == "passed" for one in outcomes):
            return f"{test} was not run without the mutant either (is it marked slow?): {without.output}"
    return ""


def _belongs(node: str, test: str) -> bool:
    return node == test or node.startswith((f"{test}::", f"{test}["))


def _package(mutant: Mutant) -> str:
    return mutant.file.partition("/")[0]


def as_page(verdicts: Iterable[Verdict]) -> str:
    """Write the verdicts as a Markdown page; without figures of time, so that it changes when they do."""
    rows = [f"| {one.mutant.guarantee} | `{one.mutant.name}` in `{one.mutant.file}` | `{one.by}` |" for one in verdicts]
    return "\n".join(
        [
            "# Mutants",
            "",
            "Written by `make mutants`, not by hand. Each row is a guarantee of the platform. A mutant takes it away",
            "by an edit in a copy of the code, and the test beside it fails; `tests/mutants/declared` has the edits.",
            "",
            f"{len(rows)} mutants, all killed by tests of `make test`.",
            "",
            "| Guarantee | Mutant | Killed by |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
