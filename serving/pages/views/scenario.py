"""View model of a bar scenario: the forecast from another last bar, and the features that moved with it."""

from dataclasses import dataclass

from serving.api.explanations import CounterfactualAnswer, ForecastRead, MovedFeature
from serving.pages import formats


@dataclass(frozen=True)
class ScenarioView:
    """The forecast that was given beside that from another last bar.

    Parameters
    ----------
    sentence
        What changed, and the new median and band.
    numbers
        Name, value as it was given, and value from the changed bar.
    moved
        Feature, value before and after, percentile of both in training, and a remark.
    """

    sentence: str
    numbers: tuple[tuple[str, str, str], ...]
    moved: tuple[tuple[str, ...], ...]
    note: str


def scenario_view(answer: CounterfactualAnswer) -> ScenarioView:
    """Return the answer to a scenario of another last bar; the true bar moves no feature."""
    assert answer.changed is not None
    stored, changed = _numbers(answer.stored), _numbers(answer.changed)
    return ScenarioView(
        sentence=(
            f"{formats.count(len(answer.moved), 'feature')} moved: the median is {changed['median']} in place of "
            f"{stored['median']}, the band {changed['p10']} to {changed['p90']}."
        ),
        numbers=tuple((name, value, changed[name]) for name, value in stored.items()),
        moved=tuple(_moved(each) for each in answer.moved),
        note=answer.note,
    )


def _numbers(read: ForecastRead) -> dict[str, str]:
    return {
        "p10": formats.signed(read.p10, 2),
        "median": formats.signed(read.p50, 2),
        "p90": formats.signed(read.p90, 2),
        "target price": formats.price(read.target_price),
        "confidence": formats.percent(read.confidence),
    }


def _moved(each: MovedFeature) -> tuple[str, ...]:
    shares = each.percentile_before, each.percentile_after
    percentiles = [formats.UNKNOWN if share is None else f"{share:.0f}" for share in shares]
    remark = "" if each.is_inside_range else "outside 1–99 %"  # noqa: RUF001 - as pages print ranges
    return each.feature, formats.number(each.before), formats.number(each.after), *percentiles, remark
