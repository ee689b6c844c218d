"""One row of a view as one value: a header, a cell of eight bytes per narrow column, what has no fixed length, a seal.

All numbers are little-endian. See `docs/online.md` for the layout byte by byte. A value
holds no code: it is bytes with a fingerprint of the columns it was written with, and only a reader of the same columns
accepts it.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise, repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.online.seals import SEAL_BYTES
from lake.errors import SchemaError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAGIC = b"QLR2"
HEADER = struct.Struct("<4sI8sqqq")
"""Magic, length of the whole value, fingerprint, event time, known time, generation; times in microseconds, UTC."""
HEADER_FIELDS = np.dtype(
    [
        ("magic", "S4"),
        ("length", "<u4"),
        ("fingerprint", "<u8"),
        ("event", "<i8"),
        ("known", "<i8"),
        ("generation", "<i8"),
    ]
)
MAGIC_WORD = int.from_bytes(MAGIC, "little")
CELL = 8
EVENT, KNOWN = "event_time", "known_time"

NARROW: dict[str, pl.DataType] = {
    "f8": pl.Float64(),
    "f4": pl.Float32(),
    "i8": pl.Int64(),
    "i4": pl.Int32(),
    "b1": pl.Boolean(),
    "us": pl.Datetime("us", "UTC"),
}
"""Kinds that fill one cell, with their type in a frame."""
WIDE: dict[str, pl.DataType] = {
    "str": pl.String(),
    "bytes": pl.Binary(),
    "[f4]": pl.List(pl.Float32()),
    "[f8]": pl.List(pl.Float64()),
    "[i4]": pl.List(pl.Int32()),
    "[i8]": pl.List(pl.Int64()),
    "[str]": pl.List(pl.String()),
}
"""Kinds of any length."""
NUMBERS = {"[f4]": "<f4", "[f8]": "<f8", "[i4]": "<i4", "[i8]": "<i8"}
Words = npt.NDArray[np.int64]
Getter = Callable[[bytes], Any]


@lru_cache(maxsize=16_384)
def instant(microseconds: int) -> datetime:
    """Return the instant so many microseconds after 1970 began, in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def event_time(value: bytes) -> datetime:
    """Return the event time that a packed row says in its header."""
    return instant(HEADER.unpack_from(value)[3])


def kind_of(dtype: pl.DataType) -> str:
    """Kind of a column of that type.

    Raises
    ------
    SchemaError
        If no kind holds it.
    """
    for kind, known in (NARROW | WIDE).items():
        if dtype == known:
            return kind
    raise SchemaError(
        f"No packed value can hold a column of type {dtype}; expected one of "
        f"{', '.join(str(known) for known in (NARROW | WIDE).values())}. Cast the column, or leave it out of the view."
    )


@dataclass(frozen=True)
class Layout:
    """The columns of a packed row.

    Parameters
    ----------
    columns
        Name and kind of each, in their order in the table.
    """

    columns: tuple[tuple[str, str], ...]

    @cached_property
    def fingerprint(self) -> bytes:
        """Eight bytes that another name, kind or order of columns would change."""
        return hashlib.sha256(repr(self.columns).encode()).digest()[:8]

    @cached_property
    def narrow(self) -> tuple[tuple[str, str], ...]:
        """Columns of one cell each."""
        return tuple((name, kind) for name, kind in self.columns if kind in NARROW)

    @cached_property
    def wide(self) -> tuple[tuple[str, str], ...]:
        """Columns of any length."""
        return tuple((name, kind) for name, kind in self.columns if kind in WIDE)

    @cached_property
    def nulls_at(self) -> int:
        """Where the bits begin that say which columns are null."""
        return HEADER.size + CELL * len(self.narrow)

    @cached_property
    def lengths_at(self) -> int:
        """Where the lengths of the wide columns begin."""
        return self.nulls_at + padded((len(self.columns) + 7) // 8)

    @cached_property
    def tail_at(self) -> int:
        """Where the wide columns begin, or the seal of a value that has none."""
        return self.lengths_at + padded(4 * len(self.wide))

    def accepts(self, value: bytes | None) -> bool:
        """Whether a value was written with these columns and has its length; who wrote it is said by its seal."""
        return value is not None and self.checked([value]) is not None

    def checked(self, values: Sequence[bytes]) -> Words | None:
        """Return the headers as words ``[value, word]``; None unless each value was written with these columns.

        The words are of eight bytes: magic and length, fingerprint, event time, known time, generation. Where no column
        is wide the cells follow, see `floats`.
        """
        count, words = len(values), HEADER.size // CELL
        flat = self._heads(values)
        if not self.wide:
            words = (self.tail_at + SEAL_BYTES) // CELL
        if len(flat) != count * words * CELL:
            return None
        table = np.frombuffer(flat, dtype="<i8").reshape(count, words)
        lengths = np.fromiter(map(len, values), dtype=np.int64, count=count)
        is_ours = (table[:, 1] == self._fingerprint_word) & (table[:, 0] == (lengths << 32) + MAGIC_WORD)
        return table if is_ours.all() else None

    def words(self, values: Sequence[bytes]) -> Words:
        """Return what `checked` does, of values that are known to be accepted."""
        words = HEADER.size if self.wide else self.tail_at + SEAL_BYTES
        return np.frombuffer(self._heads(values), dtype="<i8").reshape(len(values), words // CELL)

    def pack(self, frame: pl.DataFrame, generation: int) -> list[bytes]:
        """Pack every row of a frame; the last `SEAL_BYTES` of each value are zero until it is sealed.

        Parameters
        ----------
        frame
            The columns of the layout beside `event_time` and `known_time`; further ones are ignored.
        generation
            Of the materialisation that writes the rows.

        Raises
        ------
        SchemaError
            If a list holds a null, which no packed value can say.
        """
        rows = frame.height
        if not rows:
            return []
        width = self.tail_at if self.wide else self.tail_at + SEAL_BYTES
        block = np.zeros((rows, width), dtype=np.uint8)  # [row, byte]
        for n, (name, kind) in enumerate(self.narrow):
            begin = HEADER.size + CELL * n
            block[:, begin : begin + CELL] = _as_bytes(_cells(frame[name], kind))
        if self.columns:
            nulls = np.column_stack([frame[name].is_null().to_numpy() for name, _ in self.columns])
            bits = np.packbits(nulls, axis=1, bitorder="little")
            block[:, self.nulls_at : self.nulls_at + bits.shape[1]] = bits
        pieces = [_pieces(frame[name], kind) for name, kind in self.wide]
        lengths = np.array([[len(piece) for piece in column] for column in pieces], dtype="<u4").reshape(-1, rows).T
        block[:, self.lengths_at : self.lengths_at + 4 * len(self.wide)] = _as_bytes(lengths)
        whole = self.tail_at + ((lengths.astype(np.int64) + 7) // 8 * 8).sum(axis=1) + SEAL_BYTES
        block[:, : HEADER.size] = _as_bytes(self._headers(frame, whole, generation))
        raw = block.tobytes()
        heads = [raw[at : at + width] for at in range(0, rows * width, width)]
        if not pieces:
            return heads
        filled = ([piece + b"\0" * (-len(piece) % CELL) for piece in column] for column in pieces)
        room = repeat(bytes(SEAL_BYTES), rows)
        return [b"".join(parts) for parts in zip(heads, *filled, room, strict=True)]

    def reader(self, names: Sequence[str]) -> Callable[[bytes], list[Any]]:
        """Return a function from a value that `accepts` to what Python calls some of its columns; None for a null.

        A list of numbers comes back as an array on the bytes of the value, which cannot be written to; an instant as
        microseconds since 1970, UTC.
        """
        wanted = [self._wanted(name) for name in names]
        codes = "".join({"f8": "d", "f4": "f4x", "b1": "?7x"}.get(kind, "q") for _, kind in self.narrow)
        cells, lengths = struct.Struct(f"<{codes}").unpack_from, struct.Struct(f"<{len(self.wide)}I").unpack_from
        nulls_at, lengths_at, tail_at = self.nulls_at, self.lengths_at, self.tail_at
        nulls_end = nulls_at + (len(self.columns) + 7) // 8

        def read(value: bytes) -> list[Any]:
            narrow, sizes = cells(value, HEADER.size), lengths(value, lengths_at)
            ends, at = [], tail_at
            for size in sizes:
                ends.append(at + size)
                at += size + (-size % CELL)
            nulls = int.from_bytes(value[nulls_at:nulls_end], "little")
            return [
                None
                if nulls & bit
                else decode(value[ends[place] - sizes[place] : ends[place]])
                if decode
                else narrow[place]
                for bit, place, decode in wanted
            ]

        return read

    def getter(self, name: str) -> Getter:
        """Return a function from a value that `accepts` to one of its columns; see `reader`."""
        read = self.reader([name])
        return lambda value: read(value)[0]

    def stacked(self, name: str, values: Sequence[bytes]) -> npt.NDArray[Any] | None:
        """Return a column of lists of numbers as ``[value, number]``; None if not all are there and of one length."""
        place = [known for known, _ in self.wide].index(name)
        begin, end = self.lengths_at, self.lengths_at + 4 * (place + 1)
        bit = 1 << [known for known, _ in self.columns].index(name)
        nulls, nulls_end = self.nulls_at, self.nulls_at + (len(self.columns) + 7) // 8
        if not values or any(int.from_bytes(value[nulls:nulls_end], "little") & bit for value in values):
            return None
        lengths = values[0][begin:end]
        if any(value[begin:end] != lengths for value in values):
            return None
        sizes = struct.unpack(f"<{place + 1}I", lengths)
        start = self.tail_at + sum(padded(size) for size in sizes[:place])
        # A buffer of its own, which the caller may write to.
        flat = bytearray().join([value[start : start + sizes[place]] for value in values])
        return np.frombuffer(flat, dtype=NUMBERS[dict(self.wide)[name]]).reshape(len(values), -1)

    def floats(self, values: Sequence[bytes], names: Sequence[str], checked: Words) -> npt.NDArray[np.float64]:
        """Return columns of kind f8 as ``[value, name]``, NaN for a null.

        Parameters
        ----------
        checked
            What `checked` says of the values.
        """
        cells = [name for name, _ in self.narrow]
        wanted = [cells.index(name) for name in names]
        if self.wide:
            end = HEADER.size + CELL * len(cells)
            flat = b"".join([value[HEADER.size : end] for value in values])
            table = np.frombuffer(flat, dtype="<f8").reshape(len(values), len(cells))
        else:
            table = checked.view("<f8")[:, HEADER.size // CELL :]
        if wanted == list(range(len(wanted))):
            return table[:, : len(wanted)]
        return table[:, wanted]

    def _heads(self, values: Sequence[bytes]) -> bytes:
        """Headers, or where no column is wide whole values, one after the other."""
        return b"".join([value[: HEADER.size] for value in values] if self.wide else values)

    @cached_property
    def _fingerprint_word(self) -> int:
        return int.from_bytes(self.fingerprint, "little", signed=True)

    def _wanted(self, name: str) -> tuple[int, int, Getter | None]:
        """Of one column: its null bit, its place among the narrow or wide, and what makes a value of its bytes."""
        place = [known for known, _ in self.columns].index(name)
        kind = self.columns[place][1]
        among = self.narrow if kind in NARROW else self.wide
        return 1 << place, [known for known, _ in among].index(name), _decoder(kind) if kind in WIDE else None

    def _headers(self, frame: pl.DataFrame, lengths: npt.NDArray[np.int64], generation: int) -> npt.NDArray[Any]:
        headers = np.zeros(frame.height, dtype=HEADER_FIELDS)
        headers["magic"], headers["length"] = MAGIC, lengths
        headers["fingerprint"] = int.from_bytes(self.fingerprint, "little")
        headers["event"], headers["known"] = instants(frame[EVENT]), instants(frame[KNOWN])
        headers["generation"] = generation
        return headers


def instants(times: pl.Series) -> Words:
    """Microseconds since 1970, UTC, of a series of instants."""
    return times.cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()


def padded(length: int) -> int:
    """The next multiple of a cell."""
    return length + (-length % CELL)


def _as_bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The bytes of each row."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)


def _cells(column: pl.Series, kind: str) -> npt.NDArray[Any]:
    """One cell per row; a null number is NaN or 0 there, and told apart by its bit."""
    filled = column.cast(NARROW[kind]).rechunk()
    if kind == "f8":
        return filled.fill_null(float("nan")).to_numpy().astype("<f8", copy=False)
    if kind == "f4":
        bits = filled.fill_null(float("nan")).to_numpy().astype("<f4", copy=False).view("<u4")
        return bits.astype("<u8")
    return filled.to_physical().cast(pl.Int64).fill_null(0).to_numpy().astype("<i8", copy=False)


def _pieces(column: pl.Series, kind: str) -> list[bytes]:
    """The bytes of each row of a wide column; none for a null."""
    column = column.cast(WIDE[kind])
    if kind in NUMBERS:
        return _number_pieces(column, np.dtype(NUMBERS[kind]))
    if kind == "[str]":
        return [b"" if texts is None else _pack_texts(column.name, texts) for texts in column.to_list()]
    if kind == "str":
        return [b"" if text is None else text.encode() for text in column.to_list()]
    return [piece or b"" for piece in column.to_list()]


def _number_pieces(column: pl.Series, dtype: np.dtype[Any]) -> list[bytes]:
    """Cut the one buffer that holds the numbers of all rows; every bit of every number stays, NaN included."""
    lists: Any = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    if lists.flatten().null_count:
        raise SchemaError(
            f"Column '{column.name}' holds a list with a null in it, and a packed list says NaN for what is not known. "
            "Fill the null first."
        )
    raw = lists.values.to_numpy(zero_copy_only=True).astype(dtype, copy=False).tobytes()
    ends = (lists.offsets.to_numpy() * dtype.itemsize).tolist()
    return [raw[begin:end] for begin, end in pairwise(ends)]


def _pack_texts(name: str, texts: Sequence[str | None]) -> bytes:
    if any(text is None for text in texts):
        raise SchemaError(f"Column '{name}' holds a list with a null text, which cannot be packed. Leave it out.")
    encoded = [str(text).encode() for text in texts]
    lengths = struct.pack(f"<{len(encoded) + 1}I", len(encoded), *map(len, encoded))
    return lengths + b"".join(encoded)


def _unpack_texts(piece: bytes) -> list[str]:
    return list(_texts(piece))


@lru_cache(maxsize=1_024)
def _texts(piece: bytes) -> tuple[str, ...]:
    """Texts of a list; kept, because most rows of a view hold the same few lists."""
    (count,) = struct.unpack_from("<I", piece)
    at, texts = 4 + 4 * count, []
    for length in struct.unpack_from(f"<{count}I", piece, 4):
        texts.append(piece[at : at + length].decode())
        at += length
    return tuple(texts)


def _decoder(kind: str) -> Callable[[bytes], Any]:
    if kind in NUMBERS:
        dtype = np.dtype(NUMBERS[kind])
        return lambda piece: np.frombuffer(piece, dtype=dtype)
    decoders: dict[str, Callable[[bytes], Any]] = {"str": bytes.decode, "bytes": bytes, "[str]": _unpack_texts}
    return decoders[kind]
