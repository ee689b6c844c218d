"""The page of features, generated from the catalog: `python -m feature_repo.document` writes docs/features.md."""

from feature_repo.catalog import FEATURES_TECHNICAL, MODEL_FEATURES, TECHNICAL
from feature_repo.labels import HORIZONS
from feature_repo.locations import REPO
from feature_repo.windows import FORECAST_V1

PAGE = REPO.parent / "docs" / "features.md"

HEAD = f"""\
# Features

Generated from `feature_repo/catalog.py` by `python -m feature_repo.document`; a test keeps it up to date.

`P` is the adjusted close, `V` the volume adjusted for splits, `r = P_t / P_{{t-1}} - 1`, all per symbol, all from bars
up to and including `t`. A value that the bars cannot support is null, never NaN, zero or invented; before the bar
number `lookback` every feature is null. `warm-up` is the number of bars after which a history cut off at its beginning
gives the value of the full one to a relative 1e-9. The time at which a row is known is the latest among the bars it may
have used, those of the market included.

Models see only what is free of scale, because an adjusted price already knows later splits and dividends: the window
`{FORECAST_V1.name}` holds {len(MODEL_FEATURES)} features over {FORECAST_V1.sessions} sessions, from which the return
over {" and ".join(str(horizon) for horizon in HORIZONS)} sessions is forecast.

## {FEATURES_TECHNICAL.name}

| feature | meaning | formula | unit | lookback | warm-up | null | for models |
|---|---|---|---|---|---|---|---|
"""


def features_page() -> str:
    """Return the page as Markdown."""
    rows = [
        (
            f"`{feature.name}`",
            feature.meaning,
            feature.formula,
            feature.unit,
            str(feature.lookback),
            str(feature.warm_up),
            feature.null_rule,
            "yes" if feature.is_scale_free else "no",
        )
        for feature in TECHNICAL
    ]
    return HEAD + "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(features_page(), encoding="utf-8")
