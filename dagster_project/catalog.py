"""Catalog of the assets: what the Dagster UI shows of each table before a run.

Columns with types, units, meanings and constraints from the table's spec; lineage of feature columns from the inputs
that each feature declares; owner, layer, and the place in the source.
"""

import warnings
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import dagster as dg

from feature_repo.catalog import GROUPS, MODEL_FEATURES, SPECS
from feature_repo.compute import BAR_COLUMNS, CALENDAR_COLUMNS, MARKET_COLUMNS, TIME_COLUMNS
from lake.spec import INSTANT
from lake.tables import BARS

if TYPE_CHECKING:
    from lake.spec import Column, TableSpec

OWNERS: Mapping[str, str] = MappingProxyType(
    {
        "sources": "team:data",
        "lake": "team:data",
        "quality": "team:data",
        "features": "team:research",
        "training": "team:research",
        "feedback": "team:research",
        "serving": "team:serving",
    }
)
"""Who answers for the assets of a group; a deployment with other teams maps these names in its own login system."""

INSTANT_TYPE = "timestamp (UTC)"
BY_YEAR = "One partition per calendar year of the market; a year that the market's clock has not reached is missing."
"""Said of every asset with partitions: in a replayed market Dagster shows years to come as missing."""

_TABLES: Mapping[str, "TableSpec"] = MappingProxyType({spec.name: spec for spec in SPECS})
_SOURCES: Mapping[str, str] = MappingProxyType(
    {name: name for name in BAR_COLUMNS}
    | dict.fromkeys(MARKET_COLUMNS, "close")
    | dict.fromkeys((*CALENDAR_COLUMNS, *TIME_COLUMNS), "event_time")
)
"""Inputs of features to the column of `bars` that they are made from; a market input is made from the index's close."""


def described(assets: Iterable[object]) -> list[dg.AssetsDefinition]:
    """Return the assets with what the catalog knows of them; an asset that is no table keeps owner and source.

    Examples
    --------
    >>> from dagster_project.assets import sources
    >>> raw_bars, _ = described([sources.raw_bars, sources.raw_macro])
    >>> [spec] = raw_bars.specs
    >>> spec.owners, spec.tags["quantlake/layer"], spec.metadata["dagster/table_name"]
    (['team:data'], 'raw', 'raw_bars')
    >>> [column.type for column in spec.metadata["dagster/column_schema"].columns][:3]
    ['string', 'string', 'string']
    """
    with warnings.catch_warnings():  # links to the source are beta in Dagster; that they may change is pinned, not news
        warnings.simplefilter("ignore", dg.BetaWarning)
        found = [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)]
        linked = [asset for asset in dg.with_source_code_references(found) if isinstance(asset, dg.AssetsDefinition)]
        return [asset.map_asset_specs(_described) for asset in linked]


def column_schema(spec: "TableSpec") -> dg.TableSchema:
    """Return the columns of a table as Dagster shows them: type, unit and meaning, and what a value must satisfy."""
    keys = f"One row per ({', '.join(spec.key)})"
    per = f"{keys} and known_time: a restated row is kept beside the earlier one." if spec.restates else f"{keys}."
    return dg.TableSchema(
        columns=[_column(column, is_key=column.name in spec.key) for column in spec.columns],
        constraints=dg.TableConstraints(other=[per, *(f"{low} <= {high}" for low, high in spec.ordered)]),
    )


def column_lineage(table: str) -> dg.TableColumnLineage | None:
    """Return from which columns of `bars` each feature of a table is computed; None for a table without features."""
    for group in GROUPS:
        if group.table.name == table:
            read = {
                feature.name: sorted({_SOURCES[name] for name in feature.inputs if name in _SOURCES})
                for feature in group
            }
            bars = dg.AssetKey(BARS.name)
            return dg.TableColumnLineage(
                {name: [dg.TableColumnDep(bars, source) for source in sources] for name, sources in read.items()}
            )
    return None


def _described(spec: dg.AssetSpec) -> dg.AssetSpec:
    name, owners = spec.key.to_user_string(), [OWNERS[spec.group_name or "lake"]]
    table = _TABLES.get(name)
    if spec.partitions_def is not None:
        spec = spec.replace_attributes(description=f"{spec.description}\n\n{BY_YEAR}")
    if table is None:
        return spec.merge_attributes(owners=owners)
    lineage = column_lineage(name)
    metadata = {"dagster/table_name": name, "dagster/column_schema": column_schema(table)}
    return spec.merge_attributes(
        owners=owners,
        tags={"quantlake/layer": table.layer},
        metadata=metadata | ({"dagster/column_lineage": lineage} if lineage else {}),
    )


def _column(column: "Column", *, is_key: bool) -> dg.TableColumn:
    bounds = [f">= {column.minimum:g}"] if column.minimum is not None else []
    bounds += [f"<= {column.maximum:g}"] if column.maximum is not None else []
    bounds += ["> 0"] if column.positive else []
    bounds += [f"one of {', '.join(column.allowed)}"] if column.allowed else []
    tags = {"part_of_key": ""} if is_key else {}
    tags |= {"model_input": ""} if column.name in MODEL_FEATURES else {}
    return dg.TableColumn(
        column.name,
        type=INSTANT_TYPE if column.dtype == INSTANT else str(column.dtype).lower(),
        description=f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
        constraints=dg.TableColumnConstraints(nullable=column.nullable and not is_key, other=bounds),
        tags=tags,
    )
