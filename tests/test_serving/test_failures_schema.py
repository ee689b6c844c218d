"""Requests drawn from the endpoint's own description: no 5xx, and no answer that the description does not state."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from feature_repo.online import OnlineReader
from serving.deployment import Champions
from serving.web.app import build_app
from support.clients import headers_of

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance",
)  # fmt: skip
WITH_KEY = (*CHECKS, "negative_data_rejection", "ignored_auth")
FEW = ("--phases", "fuzzing", "--max-examples", "5"), 100
MANY = ("--phases", "examples,coverage,fuzzing", "--max-examples", "25"), 1_000


@pytest.fixture(scope="module")
def settings_of_copy(copy_home, tmp_path_factory):
    """A copy of the home: operators' requests change which models are in service."""
    return copy_home(tmp_path_factory.mktemp("described") / "home").settings


@pytest.fixture(scope="module")
def address(settings_of_copy, predicting, served):
    parts = OnlineReader(settings_of_copy), Champions(settings_of_copy)
    with predicting(settings_of_copy, *parts) as predictor, served(build_app(predictor)) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize(("options", "cases"), [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("has_key", [True, False], ids=["with a key", "without"])
def test_every_answer_to_what_the_description_allows_and_forbids_is_described(
    address, settings_of_copy, tmp_path, has_key, options, cases
):
    key = [f"Authorization: {headers_of(settings_of_copy)['authorization']}"]
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{address}/openapi.json", "--no-color",
        "--seed", "1",
        "--checks", ",".join(WITH_KEY if has_key else CHECKS), "--continue-on-failure", *options,
        *(["-H", *key] if has_key else []),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=580)
    assert done.returncode == 0, done.stdout[-6_000:]
    (generated,) = re.findall(r"(\d+) generated", done.stdout.replace(",", ""))
    assert int(generated) >= cases * 0.9
