"""Entity frames: what a user passes to Feast's historical retrieval, cast where that is unambiguous, or refused."""

import pandas as pd
import polars as pl
from feast.errors import EntityTimestampInferenceException
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df

from lake.errors import ConfigError
from lake.spec import INSTANT

ISO = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.]\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
"""Text that is one instant: ISO 8601 with a time of day; without a zone it is UTC, as Feast has it of timestamps."""
INSTANTS_WANTED = (
    "Pass instants: a day says nothing of what was known on it. The close of each session is in "
    "`lake.calendars.closes()`, and pandas.to_datetime(..., utc=True) makes instants of text."
)


def read_entity_frame(entity_df: object) -> tuple[pl.DataFrame, str]:
    """Return the rows of an entity frame, and the name of the column that holds their instants.

    Parameters
    ----------
    entity_df
        A pandas frame with keys of entities, and instants in ``event_timestamp`` or in the only timestamp column.
        Timestamps without a zone are UTC, as Feast says. Text in ISO 8601 with a time of day becomes instants,
        categories become text.

    Returns
    -------
    tuple
        The frame, its instants in UTC, and the name of their column.

    Raises
    ------
    ConfigError
        If it is no pandas frame, a column holds values of several types, or no column has instants; the message says
        what to pass.

    Examples
    --------
    >>> frame = pd.DataFrame({"symbol": pd.Categorical(["AAPL"]), "event_timestamp": ["2012-12-31T16:00:00-05:00"]})
    >>> rows, at = read_entity_frame(frame)
    >>> rows[at][0].isoformat(), rows["symbol"].to_list()
    ('2012-12-31T21:00:00+00:00', ['AAPL'])
    """
    if not isinstance(entity_df, pd.DataFrame):
        raise ConfigError(
            f"Historical features need a pandas frame of entities and timestamps, and {type(entity_df).__name__} "
            "came. Read the rows you mean first, e.g. with lake.sql.connect(), and pass the frame."
        )
    at = _column_of_instants(entity_df)
    frame = pl.DataFrame([_read(entity_df, name) for name in entity_df.columns])
    categories = [name for name, kind in frame.schema.items() if kind in (pl.Categorical, pl.Enum)]
    frame = frame.with_columns(pl.col(categories).cast(pl.String))
    return frame.with_columns(_in_utc(frame[at])), at


def require_text(frame: pl.DataFrame, view: str, key: str) -> None:
    """Refuse a key column that is not text: every entity has a name.

    Raises
    ------
    ConfigError
        Naming the column, its type and what to pass.
    """
    if frame.schema[key] not in (pl.String, pl.Null):
        example = "null" if frame.is_empty() else repr(frame[key][0])
        raise ConfigError(
            f"The column '{key}' of the entity frame holds {frame.schema[key]}, e.g. {example}, and the rows of view "
            f"'{view}' are found by text. Pass names, e.g. frame['{key}'].astype(str) if these are the names."
        )


def _column_of_instants(entity_df: pd.DataFrame) -> str:
    try:
        name: str = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
    except EntityTimestampInferenceException as error:
        found = ", ".join(f"{name} ({kind})" for name, kind in entity_df.dtypes.items())
        raise ConfigError(
            "The entity frame has no column 'event_timestamp', and not exactly one other column of timestamps; it has "
            f"{found or 'no columns'}. Call the column of the instants asked about 'event_timestamp'."
        ) from error
    return name


def _read(entity_df: pd.DataFrame, name: str) -> pl.Series:
    try:
        return pl.from_pandas(entity_df[[name]]).to_series()
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:  # Arrow's errors are of these kinds
        kinds = sorted({type(value).__name__ for value in entity_df[name]})
        raise ConfigError(
            f"The column '{name}' of the entity frame holds values of several types ({', '.join(kinds)}), which no "
            "table can hold. Give it one type, or leave it out."
        ) from error


def _in_utc(times: pl.Series) -> pl.Series:
    """Instants in UTC, whose kind leaves nothing to guess."""
    if times.dtype == pl.Datetime:
        zone = getattr(times.dtype, "time_zone", None)
        return (times.dt.convert_time_zone("UTC") if zone else times.dt.replace_time_zone("UTC")).cast(INSTANT)
    if times.dtype == pl.Null:
        return times.cast(INSTANT)
    if times.dtype != pl.String:
        example = "none" if times.is_empty() else repr(times[0])
        raise ConfigError(
            f"The column '{times.name}' of the entity frame holds {times.dtype}, e.g. {example}, and features are "
            f"known at instants. {INSTANTS_WANTED}"
        )
    wrong = times.filter(times.is_not_null() & ~times.str.contains(ISO))
    text = times.str.replace(" ", "T").str.replace(r"^(.{16})($|Z|[+-])", "${1}:00${2}")
    zoned = pl.when(text.str.contains(r"(Z|[+-]\d{2}:?\d{2})$")).then(text).otherwise(text + "Z")
    read = pl.select(zoned.str.replace("Z$", "+00:00").str.to_datetime("%+", strict=False, time_zone="UTC")).to_series()
    if wrong.is_empty():
        wrong = times.filter(times.is_not_null() & read.is_null())
    if wrong.len():
        raise ConfigError(
            f"The column '{times.name}' of the entity frame holds text that is no instant in ISO 8601, "
            f"e.g. '{wrong[0]}'; expected e.g. '2012-12-31T21:00:00+00:00'. {INSTANTS_WANTED}"
        )
    return read.cast(INSTANT).alias(times.name)
