"""The documentation page of the endpoint."""

import re

from fastapi.testclient import TestClient

from serving.web.app import build_app


def test_the_documentation_page_loads_everything_from_this_service():
    client = TestClient(build_app(), "http://127.0.0.1")
    page = client.get("/docs").text
    assert "swagger" in page
    assert not re.findall(r"""(?:src|href)=["']https?://""", page)
    for address in re.findall(r"""(?:src|href)=["']([^"']+)""", page):
        assert client.get(address).status_code == 200
