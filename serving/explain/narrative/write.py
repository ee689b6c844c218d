"""The template writer: always there, and held against the same checker as a language model."""

from collections.abc import Iterator, Sequence

from serving.explain.narrative.facts import REPLAYED, FactSheet, Sign, StatedFact
from serving.explain.narrative.retrieve import Passage
from serving.explain.narrative.sentences import Draft

QUOTED_PASSAGES = 3
LONGEST_QUOTE = 240
ONE_WINDOW, COUNTS, ONE_SCENARIO = 3, 2, 5
"""Facts of one similar window, that count the windows, and of one scenario."""


def template_sentences(facts: FactSheet, passages: Sequence[Passage] = ()) -> list[Draft]:
    """Write a forecast in words: the numbers, drivers, uncertainty, state of the data, limits, then quotations.

    Parameters
    ----------
    facts
        As `facts_of` numbers them. A part whose facts are missing is left out.
    passages
        Retrieved passages; the first sentence of the best ones is quoted, of our own notes only.

    Returns
    -------
    list of Draft
        In reading order; unchecked, as every writer's sentences are.
    """
    parts = (_forecast, _prices, _outlook, _record, _replays, _drivers, _blend, _decisions, _deep, _data, _limits)
    return [each for part in parts for each in part(facts)] + list(_quotations(passages))


def _draft(text: str, facts: Sequence[StatedFact]) -> Draft:
    return Draft(text, tuple(fact.id for fact in facts))


def _said(fact: StatedFact, verb: str = "") -> str:
    return f"{fact.subject} {verb}{fact.printed}"


def _forecast(facts: FactSheet) -> Iterator[Draft]:
    named = facts.of("forecast", "symbol", "as of", "horizon", "median return", "p10", "p90")
    symbol, as_of, horizon, median, p10, p90 = named
    yield _draft(
        f"For {symbol.printed}, {_said(as_of)} and with a {_said(horizon, 'of ')}, the {_said(median, 'is ')}, "
        f"{_said(p10, 'is ')} and {_said(p90, 'is ')}.",
        named,
    )


def _prices(facts: FactSheet) -> Iterator[Draft]:
    prices = facts.of("forecast", "reference price", "target price")
    session = facts.of("forecast", "target session")
    if prices:
        until = f", for the {_said(session[0])}" if session else ""
        listed = " and the ".join(_said(price, "is ") for price in prices)
        yield _draft(f"The {listed}{until}.", [*prices, *session])
    elif session:
        yield _draft(f"The {_said(session[0], 'is ')}.", session)


def _outlook(facts: FactSheet) -> Iterator[Draft]:
    outlook, sure = facts.of("forecast", "outlook"), facts.of("forecast", "confidence")
    if outlook and sure:
        yield _draft(f"The {_said(outlook[0], 'is ')}, with a {_said(sure[0], 'of ')}.", [*outlook, *sure])
    elif sure:
        yield _draft(f"The {_said(sure[0], 'is ')}.", sure)


def _record(facts: FactSheet) -> Iterator[Draft]:
    named = facts.of("record", "meant to hold", "it held", "low end", "high end", "outcomes counted")
    target, held, *ends, count = named
    colon = "" if held.unit else ":"
    interval = f" ({', '.join(map(_said, ends))})" if ends else ""
    yield _draft(
        f"The band is {_said(target)} of outcomes; {held.subject}{colon} {held.printed}{interval}, {_said(count)}.",
        named,
    )


def _replays(facts: FactSheet) -> Iterator[Draft]:
    named = facts.of("record", REPLAYED, "replayed outcomes")
    held, count = named
    if held.unit:
        yield _draft(f"Over the walk-forward, {_said(held)}, {_said(count)}.", named)


def _drivers(facts: FactSheet) -> Iterator[Draft]:
    base = facts.of("contribution", "base value")
    if not base:
        return
    yield _draft(f"The {_said(base[0], 'is ')}; contributions of features follow.", base)
    yield from _driving(facts, 1, "These features raise the median return")
    yield from _driving(facts, -1, "These features lower the median return")
    if error := facts.of("contribution", "largest standard error"):
        yield _draft(f"Of these contributions, the {_said(error[0], 'is ')}.", error)


def _driving(facts: FactSheet, sign: Sign, beginning: str) -> Iterator[Draft]:
    found = [fact for fact in facts.of("contribution") if fact.sign == sign]
    if found:
        yield _draft(f"{beginning}: {', '.join(map(_said, found))}.", found)


def _blend(facts: FactSheet) -> Iterator[Draft]:
    if models := facts.of("model"):
        yield _draft(f"The forecast blends models by weight: {', '.join(map(_said, models))}.", models)


def _decisions(facts: FactSheet) -> Iterator[Draft]:
    regime = facts.of("regime")
    yield _draft(f"The {_said(regime[0], 'of the market is ')}.", regime)
    strategy, sure = facts.of("strategy", "strategy"), facts.of("strategy", "strategy confidence")
    if strategy and sure:
        yield _draft(f"The {_said(strategy[0], 'is ')}, with a {_said(sure[0], 'of ')}.", [*strategy, *sure])
    if calibrated := facts.of("calibration"):
        yield _draft(f"The band is {_said(calibrated[0])} of this regime.", calibrated)


def _deep(facts: FactSheet) -> Iterator[Draft]:
    if stability := facts.of("stability"):
        order, lowest, windows = stability
        yield _draft(f"The {_said(order, 'is ')}, the {_said(lowest, 'is ')}; {_listed(windows)}.", stability)
    if line := facts.of("line"):
        fidelity, verdict = line
        yield _draft(f"The {_said(fidelity, 'is ')}; the {_said(verdict, 'is ')}.", line)
    yield from _similar(facts)
    yield from _scenarios(facts)


def _similar(facts: FactSheet) -> Iterator[Draft]:
    """Write one sentence for each window, and one that counts them."""
    found = facts.of("similar")
    windows, counts = found[:-COUNTS], found[-COUNTS:]
    for place in range(0, len(windows), ONE_WINDOW):
        named = windows[place : place + ONE_WINDOW]
        window, distance, outcome = named
        yield _draft(f"The {_said(window, 'is ')}; {_listed(distance)}, {_listed(outcome)}.", named)
    if counts:
        yield _draft(f"The {_listed(counts[0])}; {_listed(counts[1])}.", counts)


def _scenarios(facts: FactSheet) -> Iterator[Draft]:
    found = facts.of("scenario")
    for place in range(0, len(found), ONE_SCENARIO):
        named = found[place : place + ONE_SCENARIO]
        yield _draft(f"The {'; '.join(map(_listed, named))}.", named)


def _listed(fact: StatedFact) -> str:
    return f"{fact.subject}: {fact.printed}"


def _data(facts: FactSheet) -> Iterator[Draft]:
    for fact in facts.of("data"):
        yield _draft(f"The {_said(fact, 'is ' if fact.subject != 'online store' else 'reports: ')}.", [fact])


def _limits(facts: FactSheet) -> Iterator[Draft]:
    for fact in facts.of("limit"):
        yield _draft(f"Note: {fact.printed}.", [fact])


def _quotations(passages: Sequence[Passage]) -> Iterator[Draft]:
    quotable = [passage for passage in passages if passage.is_ours and '"' not in passage.title + passage.text]
    for passage in quotable[:QUOTED_PASSAGES]:
        yield Draft(f'The note "{passage.title}" says: "{_first_sentence(passage.text)}"', (), (passage.id,))


def _first_sentence(text: str) -> str:
    """Return the first sentence of a passage, or its beginning where that is too long to be read in a quotation."""
    sentence = text.split(". ", maxsplit=1)[0].removesuffix(".") + "."
    whole = sentence if sentence in text else text
    return whole if len(whole) <= LONGEST_QUOTE else whole[:LONGEST_QUOTE].rsplit(" ", 1)[0]
