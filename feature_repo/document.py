"""The page of features, generated from the catalog: `python -m feature_repo.document` writes docs/features.md."""

from collections.abc import Iterable, Iterator

from feature_repo.catalog import MODEL_FEATURES, PACKAGED
from feature_repo.feast_store import REPO
from feature_repo.spec import Feature, FeatureGroup
from feature_repo.targets import FORECAST_V2, HORIZONS
from lake.horizons import INTERVALS

PAGE = REPO.parent / "docs" / "features.md"

HEAD = f"""\
# Features

Generated from `feature_repo/catalog` by `python -m feature_repo.document`; a test keeps it up to date.

`P` is the adjusted close, `V` the volume adjusted for splits, `r = P_t / P_{{t-1}} - 1`, all per symbol, all from bars
up to and including `t`. A value that the bars cannot support is null, never NaN, zero or invented; before the bar
number `lookback` every feature is null. `warm-up` is the number of bars after which a history cut off at its beginning
gives the value of the full one to a relative 1e-9. The time at which a row is known is the latest among the bars it may
have used, those of the market included.

Models see only what is free of scale, because an adjusted price already knows later splits and dividends: the window
`{FORECAST_V2.name}` holds {len(MODEL_FEATURES)} features over {FORECAST_V2.sessions} sessions, from which the return
over {" and ".join(str(horizon) for horizon in HORIZONS)} sessions is forecast.

Each group is a table of its own:

"""

ADDING = '''
## Adding a feature

A feature is one function and one row. The function goes to `feature_repo/compute`: it takes the bars of one symbol in
order of time, one array per column, then numbers, and looks back only. NaN is not known, in and out.

```python
import numpy as np

from feature_repo.compute.kernel import Bars, kernel


@kernel
def overnight_return(open_: Bars, close: Bars, sessions: int) -> Bars:
    """Return ``open_t / P_{t-n} - 1``; NaN for the first n bars."""
    out = np.full(close.size, np.nan)
    for t in range(sessions, close.size):
        out[t] = open_[t] / close[t - sessions] - 1
    return out
```

The row goes to the group it belongs to, in `feature_repo/catalog`; its inputs are columns named in
`feature_repo/compute/__init__.py`.

```python
from feature_repo.spec import Feature

Feature(
    name="overnight_return_1d",
    function=overnight_return,
    inputs=("open", "close"),
    parameters=(1,),
    lookback=2,
    unit="fraction",
    formula="open_t / P_{t-1} - 1",
    meaning="return from the last close to this open",
    null_rule="where the source has no open",
    minimum=-1,
)
```

`make docs` writes it on this page; it compiles when first computed. The column of the table, the Feast field, the leak
checks and the tests in `tests/contracts/test_features.py` follow from the row. A recursive filter declares as `warm_up`
after how many bars it has forgotten its start.

A new group is a file of `feature_repo/catalog` with one `FeatureGroup`, entered in `PACKAGED` of
`feature_repo/catalog/__init__.py`. A group of your own needs no change here: put it into an importable module and name
that in `QUANTLAKE_FEATURE_GROUPS` (several with commas between). Table, Feast view, asset, leak checks and, with
`is_online=True`, the row in the online store follow. An entry that lacks a unit, a formula or a meaning, or repeats a
name, is refused when the catalog is imported; the error names what it lacks.
'''

COLUMNS = ("feature", "meaning", "formula", "unit", "lookback", "warm-up", "null", "for models", "source")


def features_page(groups: Iterable[FeatureGroup] = PACKAGED) -> str:
    """Return the page as Markdown: the groups, each with its features, and how to add one."""
    listed = tuple(groups)
    contents = "".join(f"- [`{group.table.name}`](#{group.table.name}): {_count(group)}\n" for group in listed)
    return HEAD + contents + "".join("".join(_section(group)) for group in listed) + ADDING


def _count(group: FeatureGroup) -> str:
    return f"{len(group.features)} features, the longest look-back {group.lookback} bars, warm-up {group.warm_up}"


def _section(group: FeatureGroup) -> Iterator[str]:
    yield f"\n## {group.table.name}\n\n{group.meaning}\n\n"
    yield f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    for feature in group:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _cells(feature))} |\n"


def _cells(feature: Feature) -> tuple[str, ...]:
    return (
        f"`{feature.name}`",
        feature.meaning,
        feature.formula,
        feature.unit,
        str(feature.lookback),
        str(feature.warm_up),
        feature.null_rule if feature.intervals == INTERVALS else f"{feature.null_rule}; on bars of minutes",
        "yes" if feature.is_scale_free else "no",
        feature.source,
    )


if __name__ == "__main__":
    PAGE.write_text(features_page(), encoding="utf-8")
