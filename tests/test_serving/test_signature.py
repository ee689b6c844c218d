import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.targets import FORECAST_V2
from lake.errors import ModelError
from serving.engines.signature import Signature

GIVEN = {
    "name": "lstm",
    "window_spec": FORECAST_V2.name,
    "features": FORECAST_V2.features,
    "sessions": FORECAST_V2.sessions,
    "horizons": (1, 5),
    "quantiles": (0.1, 0.5, 0.9),
    "scaler": "inside the graph",
    "table_versions": {"features_technical": 3},
    "train_until": datetime(2011, 12, 30, 21, tzinfo=UTC),
    "code_version": "0.1.0",
    "digest": "ab" * 32,
}


def test_a_signature_survives_json():
    signature = Signature(**GIVEN)
    assert Signature.from_json(signature.to_json()) == signature
    assert Signature.from_json(signature.to_json()).fingerprint == signature.fingerprint


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)))
def test_its_fingerprint_does_not_depend_on_the_order_things_were_said_in(versions):
    forth = Signature(**GIVEN | {"table_versions": versions})
    back = Signature(**GIVEN | {"table_versions": dict(reversed(versions.items()))})
    assert forth.fingerprint == back.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"sessions": 31},
        {"features": tuple(reversed(FORECAST_V2.features))},
        {"horizons": (1, 10)},
        {"digest": "cd" * 32},
        {"table_versions": {"features_technical": 4}},
        {"train_until": datetime(2011, 12, 29, 21, tzinfo=UTC)},
    ],
)
def test_its_fingerprint_changes_with_whatever_it_says(change):
    assert Signature(**GIVEN | change).fingerprint != Signature(**GIVEN).fingerprint


def test_it_matches_the_windows_it_was_made_from_and_no_others():
    signature = Signature(**GIVEN)
    assert signature.matches(FORECAST_V2)
    signature.require_match(FORECAST_V2)
    swapped = dataclasses.replace(FORECAST_V2, features=tuple(reversed(FORECAST_V2.features)))
    for other in (swapped, dataclasses.replace(FORECAST_V2, sessions=29), dataclasses.replace(FORECAST_V2, name="v2")):
        assert not signature.matches(other)
        with pytest.raises(ModelError, match="Train and promote the model again"):
            signature.require_match(other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sessions": 0}, "sessions"),
        ({"features": ("a", "a")}, "named twice"),
        ({"features": ()}, "features"),
        ({"horizons": (5, 1)}, "rising"),
        ({"horizons": (0, 1)}, "rising"),
        ({"quantiles": (0.9, 0.1)}, "rising"),
        ({"quantiles": (0.0, 0.5)}, "rising"),
        ({"digest": "XY"}, "digest"),
        ({"dtype": "float64"}, "dtype"),
        ({"name": "../lstm"}, "name"),
        ({"train_until": datetime(2011, 12, 30)}, "train_until"),  # noqa: DTZ001 - a time without a zone is the point
        ({"surprise": 1}, "surprise"),
    ],
)
def test_loading_says_what_is_wrong_with_it(change, said):
    text = Signature.model_construct(**GIVEN | change).model_dump_json(warnings=False)
    if "surprise" in change:
        text = text[:-1] + ',"surprise":1}'
    with pytest.raises(ModelError, match=said):
        Signature.from_json(text)


def test_a_missing_field_is_named():
    with pytest.raises(ModelError, match="digest: Field required"):
        Signature.from_json('{"name": "lstm"}')
