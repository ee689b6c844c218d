"""What a model file is held to before it is loaded, on files made by hand: none of it needs a trained network."""

import hashlib
import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from lake.clock import DEMO_START
from lake.errors import ModelError, ParityError
from lake.settings import Settings
from serving.deployment.record import Release
from serving.deployment.releases import load_release
from serving.engines import MODEL_FILE, PARITY_FILE, PARITY_WINDOWS, SIGNATURE_FILE, Bundle
from serving.engines.signature import Signature


def graph() -> bytes:
    """Return a whole ONNX file that computes nothing of interest."""
    value = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]) for name in ("window", "quantiles"))
    taken, given = value
    node = helper.make_node("Identity", ["window"], ["quantiles"])
    content: bytes = helper.make_model(helper.make_graph([node], "identity", [taken], [given])).SerializeToString()
    return content


def lay_out(folder: Path, content: bytes, **proof: object) -> Path:
    """Write a bundle whose signature and proof belong to the content, but for what is said otherwise of the proof."""
    digest = hashlib.sha256(content).hexdigest()
    signature = Signature(
        name="ridge",
        window_spec="forecast_v2",
        features=("return_1d",),
        sessions=30,
        horizons=(1, 5),
        quantiles=(0.1, 0.5, 0.9),
        scaler="none",
        table_versions={},
        train_until=DEMO_START,
        code_version="0",
        digest=digest,
    )
    good = {
        "windows": PARITY_WINDOWS, "batch_sizes": [1], "max_absolute_difference": 1e-7, "sign_agreement": 1.0,
        "digest": digest, "engine": "onnxruntime", "torch": "torch",
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(content)
    (folder / SIGNATURE_FILE).write_text(signature.to_json())
    (folder / PARITY_FILE).write_text(json.dumps(good | proof))
    return folder


def test_a_bundle_that_holds_together_is_loaded(tmp_path: Path) -> None:
    content = graph()
    assert Bundle.load(lay_out(tmp_path / "ridge", content)).content == content


def test_one_changed_byte_is_refused_before_the_file_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay_out(tmp_path / "ridge", graph())
    content = bytearray((folder / MODEL_FILE).read_bytes())
    content[-1] ^= 1
    (folder / MODEL_FILE).write_bytes(content)
    parsed: list[bytes] = []
    monkeypatch.setattr(onnx, "load_model_from_string", parsed.append)
    with pytest.raises(ModelError, match="was altered after export"):
        Bundle.load(folder)
    assert parsed == []


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        ({"windows": PARITY_WINDOWS - 1}, "covers 999 windows"),
        ({"max_absolute_difference": 2e-5}, r"differs from the trained one by up to 2\.00e-05"),
        ({"digest": "0" * 64}, "belongs to file 000000000000"),
    ],
)
def test_a_proof_that_proves_too_little_is_refused_with_the_reason(
    tmp_path: Path, proof: dict[str, object], message: str
) -> None:
    with pytest.raises(ParityError, match=message):
        Bundle.load(lay_out(tmp_path / "ridge", graph(), **proof))


def test_a_placed_version_is_held_to_the_digest_of_the_registry(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    bundle = Bundle.load(lay_out(settings.models / "ridge" / "1", graph()))
    for digest in (None, bundle.digest):
        assert load_release(settings, "ridge", Release(version="1", digest=digest)).digest == bundle.digest
    with pytest.raises(ModelError, match="the files were exchanged after promotion"):
        load_release(settings, "ridge", Release(version="1", digest="0" * 64))
