"""The endpoint answers to its own names and to no other: a page of a stranger that leads a browser here is refused."""

import ipaddress
import socket
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.testclient import TestClient, WebSocketDenialResponse

from lake.errors import ConfigError
from lake.settings import Settings
from serving.web.app import build_app
from serving.web.http.hosts import HostCheck, Hosts

OURS = ["127.0.0.1:3000", "localhost", "LOCALHOST:3000", "[::1]:8080", "127.0.0.1"]
STRANGERS = [
    "evil.example",
    "evil.example:3000",
    "127.0.0.1.evil.example",
    "localhost@evil.example",
    "",
    "a b",
    "127.0.0.1:",
]
ROUTES = ["/healthz", "/readyz", "/metrics", "/docs", "/problems", "/api/v1/public/symbols", "/nowhere"]


def certificate(folder, names):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "endpoint")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime.now(UTC)).not_valid_after(datetime.now(UTC) + timedelta(days=1))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    path = folder / "certificate.pem"
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture(scope="module")
def client():
    return TestClient(build_app(), "http://127.0.0.1", raise_server_exceptions=False)


@pytest.mark.parametrize("host", OURS)
def test_its_own_names_pass(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", STRANGERS)
@pytest.mark.parametrize("path", ROUTES)
def test_other_names_are_refused_on_every_route(client, path, host):
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/wrong-host"
    assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]
    assert "127.0.0.1" in answer.json()["detail"]
    assert "QUANTLAKE_ALLOWED_HOSTS" in answer.json()["hint"]


def test_a_websocket_under_another_name_is_refused(client):
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/ws/v1/predictions", headers={"host": "evil.example"}),
    ):
        pass
    assert refused.value.status_code == 421


def test_without_the_check_a_stranger_is_answered(monkeypatch):
    """The mutant."""
    monkeypatch.setattr(HostCheck, "_is_for_us", lambda *_: True)
    open_to_all = TestClient(build_app(), "http://evil.example", raise_server_exceptions=False)
    assert open_to_all.get("/healthz").status_code == 200


@pytest.mark.parametrize("head", [b"", b"host: 127.0.0.1\r\nhost: evil.example\r\n"], ids=["none", "two"])
def test_no_host_and_two_hosts_are_refused(served, head):
    with served(build_app()) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=120) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\n" + head + b"connection: close\r\n\r\n")
            answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert answer.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


def test_names_behind_a_proxy_are_allowed_by_a_setting(tmp_path):
    hosts = Hosts.of(Settings(home=tmp_path, allowed_hosts="Forecasts.example, 10.0.0.5:8443,*.desk.example"))
    for host in (
        b"forecasts.example",
        b"FORECASTS.example:443",
        b"10.0.0.5:8443",
        b"a.desk.example",
        b"localhost:3000",
    ):
        assert hosts.allow(host)
    for host in (b"10.0.0.5", b"10.0.0.5:3000", b"desk.example", b"a.b.desk.example", b"x.forecasts.example"):
        assert not hosts.allow(host)


@pytest.mark.parametrize("text", ["https://forecasts.example", "*", "a b", "*.*.example", "name:port"])
def test_a_setting_that_is_no_host_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match="QUANTLAKE_ALLOWED_HOSTS holds"):
        Hosts.of(Settings(home=tmp_path, allowed_hosts=text))


def test_where_others_reach_it_the_names_of_the_certificate_count(tmp_path):
    names = [
        x509.DNSName("forecasts.example"),
        x509.DNSName("*.desk.example"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.5")),
    ]
    settings = Settings(home=tmp_path, host="0.0.0.0", tls_certificate=certificate(tmp_path, names))
    hosts = Hosts.of(settings)
    assert all(hosts.allow(host) for host in (b"forecasts.example", b"a.desk.example:3000", b"10.0.0.5:3000"))
    assert not hosts.allow(b"evil.example")


def test_where_others_reach_it_and_no_name_is_known_it_does_not_start(tmp_path):
    settings = Settings(home=tmp_path, host="0.0.0.0", tls_certificate=certificate(tmp_path, []))
    with pytest.raises(ConfigError, match="Set QUANTLAKE_ALLOWED_HOSTS"):
        Hosts.of(settings)
    assert Hosts.of(settings.model_copy(update={"allowed_hosts": "forecasts.example"})).allow(b"forecasts.example")
