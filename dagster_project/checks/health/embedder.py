"""Checks of the embedder: whether it is there and whole, and whether the passages of the home have its vectors."""

from typing import TYPE_CHECKING

from dagster_project.checks.health.finding import HealthFinding

if TYPE_CHECKING:
    from lake.settings import Settings

INSTALL = "make embedder"


def embedder(configured: "Settings") -> list[HealthFinding]:
    """Read the embedder's files; a home without an embedder, whose passages have no vectors, has nothing to find."""
    from lake.errors import EmbedderError
    from lake.sources.packaged import DATA_FOLDER
    from lake.store import Lake
    from lake.tables import CHUNK_VECTORS
    from serving.embedding import open_embedder
    from serving.explain.narrative import lacking_vectors

    lake, own = Lake.open(configured), configured.embedder
    if isinstance(own, str):  # off
        return []
    try:
        found = open_embedder(configured)
    except EmbedderError as error:
        meaning = f"{error} Until then documents are searched by their words alone, and none gets a vector"
        remedy = INSTALL if own is None else f"unset QUANTLAKE_EMBEDDER && {INSTALL}"
        return [HealthFinding("damaged embedder", DATA_FOLDER if own is None else own, meaning, remedy)]
    if found is None:
        meaning = "passages have vectors, and the embedder that made them is gone: they are searched by words alone"
        gone = HealthFinding("missing embedder", lake.path(CHUNK_VECTORS), meaning, INSTALL, is_damage=False)
        return [gone] * lake.exists(CHUNK_VECTORS)
    if not (lacking := lacking_vectors(lake, found.digest).height):
        return []
    meaning = f"{lacking} passages have no vector of the embedder yet: they are found by their words alone"
    remedy = configured.declared_market.next_run
    return [HealthFinding("missing vectors", lake.path(CHUNK_VECTORS), meaning, remedy, is_damage=False)]
