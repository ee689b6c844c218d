"""A packed row gives back every bit of what went in, and says when it was written with other columns."""

import struct
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.online.packing import HEADER, NARROW, WIDE, Layout, kind_of
from feature_repo.online.views import VIEWS, WINDOW
from feature_repo.targets.windows import FORECAST_V2, window_hash
from lake.errors import SchemaError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = pl.Datetime("us", "UTC")
EVERY_KIND = Layout(tuple((f"a {kind}", kind) for kind in (*NARROW, *WIDE)))

VALUES = {
    "f8": st.floats(allow_nan=False),
    "f4": st.floats(width=32, allow_nan=False),
    "i8": st.integers(-(2**63), 2**63 - 1),
    "i4": st.integers(-(2**31), 2**31 - 1),
    "b1": st.booleans(),
    "us": st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - it takes naive bounds
    "str": st.text(st.characters(codec="utf-8"), max_size=12),
    "bytes": st.binary(max_size=12),
    "[f4]": st.lists(st.floats(width=32), max_size=5),
    "[f8]": st.lists(st.floats(), max_size=5),
    "[i4]": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
    "[i8]": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
    "[str]": st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=4),
}
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def frame_of(layout: Layout, rows: list[dict]) -> pl.DataFrame:
    kinds = {"event_time": "us", "known_time": "us", **dict(layout.columns)}
    return pl.DataFrame(
        [pl.Series(name, [row[name] for row in rows], dtype=(NARROW | WIDE)[kind]) for name, kind in kinds.items()]
    )


def bits(value: object) -> object:
    """A value in a form in which equal means the same bits, so that NaN counts and -0 is not 0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value


@st.composite
def rows(draw: st.DrawFn) -> list[dict]:
    row = {name: st.none() | VALUES[kind] for name, kind in EVERY_KIND.columns}
    return draw(st.lists(st.fixed_dictionaries({"event_time": TIMES, "known_time": TIMES, **row}), max_size=4))


@given(rows(), st.integers(0, 2**62))
def test_every_kind_comes_back_bit_for_bit_and_null_stays_null(rows: list[dict], generation: int) -> None:
    frame = frame_of(EVERY_KIND, rows)
    packed = EVERY_KIND.pack(frame, generation)
    assert len(packed) == len(rows)
    headers = EVERY_KIND.checked(packed)
    assert headers is not None
    for n, row in enumerate(rows):
        assert EVERY_KIND.accepts(packed[n])
        assert EPOCH + timedelta(microseconds=int(headers[n, 2])) == row["event_time"]
        assert EPOCH + timedelta(microseconds=int(headers[n, 3])) == row["known_time"]
        assert headers[n, 4] == generation
        for name, kind in EVERY_KIND.columns:
            value, went_in = EVERY_KIND.getter(name)(packed[n]), row[name]
            if kind == "us" and went_in is not None:
                value = EPOCH + timedelta(microseconds=value)
            if kind.startswith("[") and kind != "[str]" and went_in is not None:
                went_in = np.array(went_in, dtype=value.dtype)
            assert bits(value) == bits(went_in), name


def test_a_windows_float32_bits_stay_and_so_does_its_hash() -> None:
    """Also the payload of a NaN, which arithmetic would drop."""
    odd = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x00000001, 0x7F800000], dtype="<u4").view("<f4")
    window = np.resize(odd, FORECAST_V2.shape[0] * FORECAST_V2.shape[1]).astype(np.float32)
    row = {
        "event_time": EPOCH,
        "known_time": EPOCH,
        "window": window,
        "reference_price": 1.0,
        "feature_hash": window_hash(window),
        "table_versions": "{}",
        "price_basis": "as_traded",
        "currency": None,
    }
    frame = frame_of(WINDOW.layout, [row]).slice(0, 1)
    (packed,) = WINDOW.layout.pack(frame, 1)
    back = WINDOW.layout.getter("window")(packed)
    assert back.tobytes() == window.tobytes()
    assert window_hash(back) == row["feature_hash"]


def test_rows_cut_out_of_a_larger_frame_keep_their_own_lists() -> None:
    layout = Layout((("a", "[f4]"), ("b", "str")))
    frame = frame_of(
        layout, [{"event_time": EPOCH, "known_time": EPOCH, "a": [float(n)] * n, "b": "x" * n} for n in range(9)]
    )
    for part in (frame.slice(3, 4), frame[[8, 2, 5]], frame.filter(pl.col("b").str.len_bytes() > 6)):
        packed = layout.pack(part, 1)
        assert [layout.getter("a")(value).tolist() for value in packed] == part["a"].to_list()
        assert [layout.getter("b")(value) for value in packed] == part["b"].to_list()


def test_numbers_are_read_at_once_as_one_matrix() -> None:
    layout = Layout((("a", "f8"), ("n", "i8"), ("b", "f8"), ("c", "f8"), ("text", "str")))
    values = [
        {"event_time": EPOCH, "known_time": EPOCH, "a": n, "n": n, "b": None, "c": n / 7, "text": "z" * n}
        for n in range(5)
    ]
    packed = layout.pack(frame_of(layout, values), 1)
    matrix = layout.floats(packed, ["c", "a", "b"], layout.checked(packed))
    np.testing.assert_array_equal(matrix[:, :2], [[n / 7, n] for n in range(5)])
    assert np.isnan(matrix[:, 2]).all()
    assert layout.floats([], ["a"], layout.checked([])).shape == (0, 1)
    plain = Layout((("a", "f8"), ("b", "f8")))
    same = plain.pack(frame_of(plain, values), 1)
    np.testing.assert_array_equal(plain.floats(same, ["a", "b"], plain.checked(same))[:, 0], range(5))
    np.testing.assert_array_equal(plain.floats(same[:1], ["b", "a"], plain.checked(same[:1])), [[np.nan, 0.0]])


def test_other_columns_have_another_fingerprint_and_are_not_accepted() -> None:
    layout = Layout((("a", "f8"), ("b", "f8")))
    (packed,) = layout.pack(frame_of(layout, [{"event_time": EPOCH, "known_time": EPOCH, "a": 1.0, "b": 2.0}]), 1)
    assert layout.accepts(packed)
    others = [
        Layout((("b", "f8"), ("a", "f8"))),
        Layout((("a", "f8"), ("b", "i8"))),
        Layout((("a", "f8"),)),
        Layout((("a", "f8"), ("c", "f8"))),
    ]
    assert not any(other.accepts(packed) for other in others)
    assert len({view.layout.fingerprint for view in VIEWS}) == len(VIEWS)


def test_a_torn_or_foreign_value_is_not_accepted() -> None:
    layout = Layout((("a", "f8"), ("b", "str")))
    (packed,) = layout.pack(frame_of(layout, [{"event_time": EPOCH, "known_time": EPOCH, "a": 1.0, "b": "text"}]), 1)
    assert not any(layout.accepts(packed[:length]) for length in range(len(packed)))
    assert not layout.accepts(packed + b"\0")
    assert not layout.accepts(b"\x80\x04" + packed[2:])
    assert not layout.accepts(None)


def test_the_layout_is_the_documented_one_byte_by_byte() -> None:
    """The example of docs/online.md, written by hand."""
    layout = Layout((("close", "f8"), ("name", "str")))
    at = EPOCH + timedelta(seconds=1)
    (packed,) = layout.pack(frame_of(layout, [{"event_time": at, "known_time": at, "close": None, "name": "KO"}]), 7)
    header = b"QLR2" + struct.pack("<I", 88) + layout.fingerprint + struct.pack("<qqq", 1_000_000, 1_000_000, 7)
    nulls, lengths, tail = b"\x01" + b"\0" * 7, struct.pack("<I", 2) + b"\0" * 4, b"KO" + b"\0" * 6
    assert packed[:40] == header
    assert len(header) == HEADER.size == 40
    assert np.isnan(np.frombuffer(packed, "<f8", 1, 40)).all()
    assert packed[48:] == nulls + lengths + tail + bytes(16)


@pytest.mark.parametrize(
    ("kind", "content"), [("[f4]", [[1.0, None]]), ("[str]", [["a", None]])], ids=["number", "text"]
)
def test_a_null_inside_a_list_is_refused_with_the_column(kind: str, content: list) -> None:
    layout = Layout((("inner", kind),))
    frame = frame_of(layout, [{"event_time": EPOCH, "known_time": EPOCH, "inner": content[0]}])
    with pytest.raises(SchemaError, match="Column 'inner' holds a list with a null"):
        layout.pack(frame, 1)


def test_a_type_that_nothing_holds_is_refused_with_those_that_are() -> None:
    with pytest.raises(SchemaError, match=r"type Date; expected one of Float64.*Cast the column"):
        kind_of(pl.Date())


def test_a_window_packed_before_its_price_basis_was_kept_is_not_read() -> None:
    """Other columns, another fingerprint: the reader falls back to the tables until the store is filled again."""
    before = Layout(tuple(column for column in WINDOW.layout.columns if column[0] not in {"price_basis", "currency"}))
    row = {"event_time": EPOCH, "known_time": EPOCH, "window": [1.0], "reference_price": 0.318}
    row |= {"feature_hash": "ab", "table_versions": "{}"}
    (old,) = before.pack(frame_of(before, [row]), 1)
    assert before.accepts(old)
    assert not WINDOW.layout.accepts(old)
