"""The check of the embedder: nothing to find without one, damage and missing vectors with their remedies."""

from dagster_project.checks.health import HealthFinding
from dagster_project.checks.health.embedder import embedder
from lake.store import Lake
from serving.explain.narrative.documents import store_documents
from serving.explain.narrative.vectors import store_vectors
from support.embedding import packaged_embedder
from support.narratives import document


def kinds(configured) -> list[tuple[str, str, bool]]:
    return [(found.kind, found.remedy, found.is_damage) for found in embedder(configured)]


def test_passages_without_vectors_are_found_until_they_have_them(settings) -> None:
    made = packaged_embedder()
    lake = Lake(settings.tables)
    assert kinds(settings) == []
    store_documents(lake, [document("note", "a note")])
    assert kinds(settings) == [("missing vectors", "quantlake advance", False)]
    store_vectors(lake, made)
    assert kinds(settings) == []


def test_what_is_off_is_not_looked_at(settings) -> None:
    store_documents(Lake(settings.tables), [document("note", "a note")])
    assert kinds(settings.model_copy(update={"embedder": "off"})) == []


def test_a_folder_without_a_model_is_damage(settings, tmp_path) -> None:
    (found,) = embedder(settings.model_copy(update={"embedder": tmp_path}))
    assert isinstance(found, HealthFinding)
    assert (found.kind, found.path, found.is_damage) == ("damaged embedder", tmp_path, True)
    assert found.remedy == "unset QUANTLAKE_EMBEDDER && make embedder"
    assert "lacks model.onnx" in found.meaning
