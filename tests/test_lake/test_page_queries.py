"""Queries that the pages show name tables and columns that there are."""

import re

import pytest

from lake.sql import connect
from lake.store import Lake
from lake.tables import TABLES
from support.pages import PAGES, name_of

SHOWN = re.compile(r"(?:quantlake sql |\.sql\()\"((?:[^\"\\]|\\.)+)\"")
QUERIES = sorted(
    {
        (name_of(page), shown.replace('\\"', '"'))
        for page in PAGES
        for shown in SHOWN.findall(page.read_text(encoding="utf-8"))
    }
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with every table of the platform, and no row."""
    lake = Lake(tmp_path_factory.mktemp("queries") / "tables")
    for spec in TABLES:
        lake.merge(spec, spec.empty())
    return lake


def test_the_search_finds_queries_of_several_pages() -> None:
    assert {"README.md", "docs/README.md", "docs/access.md", "docs/blend.md", "docs/data.md"} <= {
        page for page, _ in QUERIES
    }


@pytest.mark.parametrize(("page", "query"), QUERIES)
def test_a_query_that_a_page_shows_can_be_answered(page: str, query: str, empty: Lake) -> None:
    with connect(lake=empty) as connection:
        assert connection.sql(query).columns, page
