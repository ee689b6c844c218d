"""`quantlake words`: the newest forecast of a symbol in words, every sentence checked by the service."""

import textwrap
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from dagster_project.commands.predict import Ahead, horizon_asked
from dagster_project.commands.shell import AsJson, console, print_json, require_home

if TYPE_CHECKING:
    from serving.api import ExplanationJobAnswer, WrittenExplanation

WIDTH = 80
Depth = Literal["fast", "medium", "deep"]
Symbol = Annotated[str, typer.Argument(help="Symbol, e.g. AAPL.")]
WantedDepth = Annotated[
    Depth,
    typer.Option(
        "--depth",
        help="fast: facts in a template; medium: with passages of documents, and a language model if one is set; deep: "
        "also stability, similar past windows and scenarios, up to a minute.",
    ),
]


def words(symbol: Symbol, horizon: Ahead = "", depth: WantedDepth = "fast", *, as_json: AsJson = False) -> None:
    """Explain the newest forecast of a symbol in checked sentences: quantlake words AAPL --horizon 5.

    Each number is a fact of the forecast's receipt, or of what came of earlier ones. Sentences that fail the check are
    dropped and counted.
    """
    from lake.settings import settings
    from serving.client import Client

    require_home(settings())
    ahead = horizon_asked(horizon, settings().declared_market)
    over: dict[str, Any] = {ahead.member: ahead.n}
    with Client.local(settings()) as client:
        asked = client.ask_in_words(symbol, depth=depth, **over)
        for _ in client.follow_words(asked.job_id):
            pass  # the job is read as a whole once it has ended
        job = client.in_words(asked.job_id)
    if as_json:
        print_json(job.model_dump(mode="json"))
        return
    console().print("\n".join(lines_of(job)), highlight=False, markup=False, soft_wrap=True)
    if job.explanation is not None and job.explanation.writer_problem:
        Console(stderr=True, soft_wrap=True).print(job.explanation.writer_problem, highlight=False, markup=False)


def lines_of(job: "ExplanationJobAnswer") -> list[str]:
    """Return a job as lines of text: sentences with the ids that they cite, sources, and what was dropped."""
    written = job.explanation
    if written is None:
        return [f"The explanation of {job.symbol} is under way: {job.step}."]
    lines = [f"{job.symbol}, forecast {job.prediction_id}", ""]
    for sentence in written.sentences:
        cited = ", ".join([*sentence.fact_ids, *sentence.source_ids])
        lines += textwrap.wrap(f"{sentence.text} [{cited}]", WIDTH)
    return [*lines, "", *_about(written)]


def _about(written: "WrittenExplanation") -> list[str]:
    reasons = ", ".join(dropped.reason for dropped in written.dropped)
    dropped = f"{len(written.dropped)} ({reasons})" if written.dropped else "0"
    lines = [f"Writer: {written.writer}. Sentences dropped by the check: {dropped}."]
    if written.search:
        lines += textwrap.wrap(f"Search: {written.search}.", WIDTH, break_long_words=False, break_on_hyphens=False)
    for part in written.left_out:
        lines += textwrap.wrap(f"Left out, {part.part.replace('_', ' ')}: {part.reason}", WIDTH)
    for source in written.sources:
        lines += textwrap.wrap(f"{source.id}  {source.title} ({source.source})", WIDTH)
    return lines
