"""Files that the dashboard serves: vendored ones are those of the registry, our own are small and load no others."""

import hashlib
import re
from base64 import b64encode

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from serving.pages import site
from serving.pages.app import build_dashboard
from serving.pages.headers import CONTENT_SECURITY_POLICY, SecurityHeaders
from serving.pages.rendering import STATIC, TEMPLATES
from serving.pages.site import SiteFiles
from support.dashboard import Page, log_in_as_owner, visiting

VENDOR = STATIC / "vendor"
MODULES = sorted(STATIC.glob("*.js"))
LONGEST_MODULE = 150
VENDORED = {
    "lightweight-charts-5.2.1.mjs": "1bb1ee79f9d4dd17261b53d930f7a8995748276f80e7ba0e24412b5068062f5f",
    "uplot-1.6.32.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot-1.6.32.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


def test_vendored_files_are_those_of_the_registry_and_listed():
    listed = dict(reversed(line.split(maxsplit=1)) for line in (VENDOR / "SHA256SUMS").read_text("utf-8").splitlines())
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name.strip()).read_bytes()).hexdigest() == digest
    assert {name: listed[name] for name in VENDORED} == VENDORED
    unlisted = {path.name for path in VENDOR.iterdir()} - set(listed) - {"README.md", "SHA256SUMS"}
    assert unlisted == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_is_short_and_imports_from_here_alone(module):
    text = module.read_text("utf-8")
    assert len(text.splitlines()) < LONGEST_MODULE
    assert all(source.startswith("./") for source in re.findall(r'from "([^"]+)"', text))
    assert "innerHTML" not in text


def test_templates_hold_no_inline_script_or_style_and_load_from_no_other_host():
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"\son\w+=|\sstyle=|<style|\|safe\b|autoescape", text), path.name
        for tag in re.findall(r"<script[^>]*>", text):
            assert 'src="{{ static(' in tag or 'type="application/json"' in tag, (path.name, tag)
        assert not re.search(r'(src|<link[^>]*href)="https?:', text), path.name


def test_the_style_sheet_loads_nothing():
    assert "url(" not in (STATIC / "dashboard.css").read_text("utf-8")


PAGE_OF_A_SITE = "<html><style>p {{}}</style><script>{script}</script><script src='a.js'></script></html>"


def test_a_page_of_the_site_permits_its_own_scripts_and_styles_and_no_others(tmp_path):
    files = SiteFiles(tmp_path)
    own, other = "run()", "steal()"
    (tmp_path / "index.html").write_text(PAGE_OF_A_SITE.format(script=own), "utf-8")
    (tmp_path / "a.js").write_text("1", "utf-8")
    client = TestClient(SecurityHeaders(files))
    (policy,) = client.get("/").headers.get_list("content-security-policy")
    digests = {text: hashlib.sha256(text.encode()).digest() for text in (own, "p {}", other)}
    sources = {text: f"'sha256-{b64encode(digest).decode()}'" for text, digest in digests.items()}
    script, style = (re.search(rf"{kind}-src ([^;]+);", policy)[1] for kind in ("script", "style"))
    assert script == f"'self' {sources[own]}"
    assert style == f"'self' {sources['p {}']}"
    assert sources[other] not in policy
    assert client.get("/a.js").headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_without_the_folder_of_the_site_there_is_no_such_page_and_no_fault(tmp_path):
    folder = tmp_path / "site"
    client = TestClient(Starlette(routes=[Mount("/docs", SiteFiles(folder))]), raise_server_exceptions=False)
    assert client.get("/docs/").status_code == 404
    folder.mkdir()
    (folder / "index.html").write_text(PAGE_OF_A_SITE.format(script=""), "utf-8")
    assert client.get("/docs/").status_code == 200


def test_a_page_of_the_site_permits_the_styles_of_its_elements_and_no_others(tmp_path):
    """The icons of the theme are hidden by a style of their own; refused, they take the upper part of every page."""
    hidden, other = "display: none;", "display: block;"
    held = f'<svg style="{hidden}"></svg>'
    (tmp_path / "index.html").write_text(
        PAGE_OF_A_SITE.format(script="run()").replace("</html>", f"{held}</html>"), "utf-8"
    )
    (policy,) = TestClient(SecurityHeaders(SiteFiles(tmp_path))).get("/").headers.get_list("content-security-policy")
    sources = {
        text: f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (hidden, other, "p {}")
    }
    script, style = (re.search(rf"{kind}-src ([^;]+);", policy)[1].split() for kind in ("script", "style"))
    assert {"'unsafe-hashes'", sources[hidden], sources["p {}"]} <= set(style)
    assert sources[other] not in style
    assert "'unsafe-hashes'" not in script


def test_the_site_is_linked_where_it_is_built_and_needs_a_login(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(site, "SITE", tmp_path)
    home = settings.model_copy(update={"dashboard_port": 3002})
    with visiting(build_dashboard(home), home) as visitor:
        assert visitor.get("/docs/").headers["location"] == "/login?next=%2Fdocs%2F"
        log_in_as_owner(visitor, home)
        assert "/docs/" not in {link.get("href") for link in Page(visitor.get("/about").text).all("a")}
        (tmp_path / "index.html").write_text(PAGE_OF_A_SITE.format(script=""), "utf-8")
        assert "/docs/" in {link.get("href") for link in Page(visitor.get("/about").text).all("a")}
