"""Beyond this machine the endpoint listens only with keys and TLS; pages of other origins ask only when they may."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.testclient import TestClient

from dagster_project.servers.endpoint import forecast_service
from lake.errors import ConfigError
from lake.settings import Settings
from serving.access import keys, local_address, origins, require_safe_address, trusted_proxies, trusting
from serving.client import Client
from serving.supervision import serve_command
from serving.web.app import build_app
from support.clients import LOCAL

PAGE = "https://desk.example"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """A certificate of its own for 127.0.0.1, and its private key."""
    folder = tmp_path_factory.mktemp("tls")
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forecasts.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=2))
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    (folder / "key.pem").chmod(0o600)
    return {"tls_certificate": folder / "certificate.pem", "tls_key": folder / "key.pem"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.org", "::", "localhost", ""])
def test_without_keys_and_tls_only_this_machine_is_served(tmp_path, host):
    with pytest.raises(ConfigError) as refused:
        serve_command(Settings(home=tmp_path, host=host))
    said = str(refused.value)
    assert all(part in said for part in ("TLS_CERTIFICATE", "TLS_KEY", "quantlake keys create", "HOST=127.0.0.1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.8.8.8"])
def test_this_machine_needs_neither(tmp_path, host):
    require_safe_address(Settings(home=tmp_path, host=host))


@pytest.mark.parametrize("given", ["*", "proxy.example", "10.0.0.1/8", "127.0.0.1;10.0.0.1"])
def test_a_proxy_is_an_address_or_a_network(tmp_path, given):
    with pytest.raises(ConfigError, match="QUANTLAKE_TRUSTED_PROXIES holds"):
        serve_command(Settings(home=tmp_path, trusted_proxies=given))
    good = Settings(home=tmp_path, trusted_proxies=" 127.0.0.1, 10.0.0.0/24 ,::1,")
    require_safe_address(good)
    assert trusted_proxies(good) == "127.0.0.1,10.0.0.0/24,::1"
    assert trusted_proxies(Settings(home=tmp_path)) == ""


def test_each_part_that_is_missing_is_named(tmp_path, pem):
    with_tls = Settings(home=tmp_path, host="0.0.0.0", **pem)
    keys.local_key(with_tls)
    with pytest.raises(ConfigError, match=r"needs an API key that was made on purpose"):
        require_safe_address(with_tls)
    key, _ = keys.create(with_tls, "desk", "read", "free", by="tests")
    require_safe_address(with_tls)
    assert serve_command(with_tls)
    with pytest.raises(ConfigError, match=r"needs QUANTLAKE_TLS_CERTIFICATE, a PEM file; and QUANTLAKE_TLS_KEY"):
        require_safe_address(Settings(home=tmp_path, host="0.0.0.0"))
    keys.revoke(with_tls, key.id, by="tests")
    with pytest.raises(ConfigError, match="made on purpose"):
        require_safe_address(with_tls)


def test_a_certificate_that_cannot_be_served_is_refused_before_anything_starts(tmp_path, pem):
    def refused(message, **change):
        with pytest.raises(ConfigError, match=message):
            require_safe_address(Settings(home=tmp_path, **pem | change))

    refused("TLS_CERTIFICATE is set and QUANTLAKE_TLS_KEY is not", tls_key=None)
    refused("TLS_KEY is set and QUANTLAKE_TLS_CERTIFICATE is not", tls_certificate=None)
    refused("There is no file", tls_key=tmp_path / "nowhere.pem")
    refused("no certificate and its unencrypted private key", tls_certificate=pem["tls_key"])
    (tmp_path / "open.pem").write_bytes(pem["tls_key"].read_bytes())
    (tmp_path / "open.pem").chmod(0o644)
    refused("chmod 600", tls_key=tmp_path / "open.pem")
    encrypted = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    (tmp_path / "locked.pem").write_bytes(encrypted)
    (tmp_path / "locked.pem").chmod(0o600)
    refused("unencrypted private key", tls_key=tmp_path / "locked.pem")


def test_programs_of_this_machine_know_where_to_ask(tmp_path, pem):
    assert local_address(Settings(home=tmp_path, port=3999)) == "http://127.0.0.1:3999"
    assert local_address(Settings(home=tmp_path, port=3999, host="0.0.0.0", **pem)) == "https://127.0.0.1:3999"
    assert local_address(Settings(home=tmp_path, port=3999, host="::1")) == "http://[::1]:3999"
    assert trusting(Settings(home=tmp_path)) is None
    assert trusting(Settings(home=tmp_path, **pem)).verify_mode is ssl.CERT_REQUIRED


def test_it_is_served_over_tls_with_a_certificate_of_its_own(copy_home, pem, tmp_path):
    settings = copy_home(tmp_path / "home", **pem).settings
    with forecast_service(settings) as (address, _), Client.local(settings) as client:
        assert address.startswith("https://")
        assert client.predict("AAPL").symbol == "AAPL"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{address}/healthz")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{address.replace('https', 'http')}/healthz")


def test_no_page_may_ask_unless_it_is_named():
    for app in (build_app(), build_app(origins=origins(Settings()))):
        client = TestClient(app, LOCAL)
        assert not any(name.startswith("access-control") for name in preflight(client, PAGE).headers)
        answer = client.get("/healthz", headers={"origin": PAGE})
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_page_that_is_named_may_ask_and_read_the_limits():
    client = TestClient(build_app(origins=origins(Settings(cors_origins=f"{PAGE}, http://127.0.0.1:8080"))), LOCAL)
    allowed = preflight(client, PAGE)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in allowed.headers
    assert preflight(client, "https://elsewhere.example").status_code == 400
    refused = client.post("/api/v1/public/predict", headers={"origin": PAGE})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    assert "ratelimit-remaining" in refused.headers["access-control-expose-headers"].lower()


def preflight(client, page):
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    return client.options("/api/v1/public/predict", headers={"origin": page} | asked)


@pytest.mark.parametrize("page", ["*", "desk.example", "https://desk.example/", "ftp://desk.example", "null"])
def test_what_is_no_origin_is_refused(page):
    with pytest.raises(ConfigError, match="scheme, host and port"):
        origins(Settings(cors_origins=f"{PAGE},{page}"))
