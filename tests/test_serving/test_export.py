import copy
import json
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from feature_repo.targets import FORECAST_V2
from lake.errors import ModelError, ParityError
from serving.engines import BACKGROUND_FILE, MODEL_FILE, PARITY_FILE, SIGNATURE_FILE, Bundle, OnnxEngine
from serving.engines.bundles import Export, Parity, refuse_external_data
from serving.engines.debug_info import without_debug_info
from serving.engines.export import export_model, prove_parity
from serving.engines.graphs import to_onnx

UNTIL = datetime(2011, 12, 30, 21, tzinfo=UTC)


@pytest.fixture
def folder(exports, tmp_path):
    return shutil.copytree(exports["lstm"].folder, tmp_path / "lstm")


@pytest.mark.parametrize("name", ["naive", "ridge", "lstm"])
def test_the_exported_file_computes_what_torch_does(exports, name):
    parity = exports[name].parity
    assert parity.windows >= 1_000
    assert parity.max_absolute_difference <= 1e-5
    assert parity.sign_agreement == 1.0
    assert len(parity.batch_sizes) >= 3


def test_the_export_is_one_file_with_a_free_batch_axis(exports):
    files = sorted(path.name for path in exports["lstm"].folder.iterdir())
    assert files == [BACKGROUND_FILE, MODEL_FILE, PARITY_FILE, SIGNATURE_FILE]
    graph = onnx.load_model_from_string(exports["lstm"].content).graph
    batch, sessions, channels = graph.input[0].type.tensor_type.shape.dim
    assert batch.dim_param
    assert (sessions.dim_value, channels.dim_value) == (30, 2 * len(FORECAST_V2.features))


def test_the_signature_says_what_it_was_made_from(exports):
    signature = exports["ridge"].signature
    assert signature.matches(FORECAST_V2)
    assert signature.table_versions.keys() == {"features_technical"}
    assert signature.code_version.startswith("0.")
    assert signature.train_until == UNTIL


def test_a_network_that_differs_by_little_has_no_proof(exports, networks, inputs):
    moved = copy.deepcopy(networks["lstm"])
    with torch.no_grad():
        for weight in moved.parameters():
            weight.add_(1e-2)
    with pytest.raises(ParityError, match="answers differently after export"):
        prove_parity(moved, exports["lstm"].signature, exports["lstm"].content, inputs)


def test_a_network_that_answers_nan_has_no_proof(exports, networks, inputs):
    broken = copy.deepcopy(networks["ridge"])
    broken.bias.fill_(float("nan"))
    with pytest.raises(ParityError):
        prove_parity(broken, exports["ridge"].signature, exports["ridge"].content, inputs)


def test_too_few_windows_prove_nothing(networks, inputs, tmp_path):
    with pytest.raises(ParityError, match="999 windows; 1000 real ones"):
        export_model(networks["naive"], "naive", FORECAST_V2, {}, inputs[:999], tmp_path / "x", train_until=UNTIL)
    assert not (tmp_path / "x").exists()


def test_one_changed_byte_is_refused(folder):
    content = bytearray((folder / MODEL_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / MODEL_FILE).write_bytes(bytes(content))
    with pytest.raises(ModelError, match="altered after export"):
        Bundle.load(folder)


@pytest.mark.parametrize("name", [MODEL_FILE, SIGNATURE_FILE, PARITY_FILE])
def test_a_link_in_place_of_a_file_is_refused(folder, tmp_path, name):
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelError, match="reached through a link"):
        Bundle.load(folder)


def test_a_linked_folder_is_refused(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ModelError, match="reached through a link"):
        Bundle.load(tmp_path / "link")


@pytest.mark.parametrize(
    ("name", "kind"), [(MODEL_FILE, ModelError), (SIGNATURE_FILE, ModelError), (PARITY_FILE, ParityError)]
)
def test_a_missing_file_is_refused(folder, name, kind):
    (folder / name).unlink()
    with pytest.raises(kind, match="is missing"):
        Bundle.load(folder)


def test_weights_outside_the_file_are_refused(exports, tmp_path):
    model = onnx.load_model_from_string(exports["lstm"].content)
    onnx.save_model(
        model,
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
        convert_attribute=True,
    )
    with pytest.raises(ModelError, match="outside its file"):
        refuse_external_data((tmp_path / "m.onnx").read_bytes(), "lstm")


def test_what_is_no_onnx_file_is_refused():
    with pytest.raises(ModelError, match="no ONNX model"):
        refuse_external_data(b"\xff\xff not a model", "lstm")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_absolute_difference": 2e-5}, "differs from the trained one"),
        ({"windows": 999}, "999 windows"),
        ({"digest": "ab" * 32}, "belongs to file"),
    ],
)
def test_a_proof_that_proves_too_little_is_refused(folder, change, said):
    proof = json.loads((folder / PARITY_FILE).read_text())
    (folder / PARITY_FILE).write_text(json.dumps(proof | change))
    with pytest.raises(ParityError, match=said):
        Bundle.load(folder)


def test_a_proof_cannot_claim_nan(exports):
    said = exports["lstm"].parity.model_dump()
    with pytest.raises(ValueError, match="finite"):
        Parity(**said | {"max_absolute_difference": np.nan})


def test_the_file_does_not_say_on_which_machine_it_was_made_and_answers_with_the_same_bits(
    exports, networks, inputs, tmp_path, monkeypatch
):
    noted = {}

    def note(content: bytes) -> bytes:
        noted["before"] = content
        return without_debug_info(content)

    monkeypatch.setattr("serving.engines.graphs.without_debug_info", note)
    content = to_onnx(networks["lstm"], inputs[:7], tmp_path / MODEL_FILE)
    paths = [str(Path(torch.__file__).parents[1]).encode(), str(Path(__file__).parents[2]).encode()]
    assert any(path in noted["before"] for path in paths), "the exporter notes nothing that would have to be removed"
    assert not any(path in content for path in paths)
    assert b"stack_trace" not in content
    signature = exports["lstm"].signature
    before, after = (
        OnnxEngine(Export(signature=signature.model_copy(update={"digest": sha256(one).hexdigest()}), content=one))
        for one in (noted["before"], content)
    )
    assert before.predict(inputs[:200]).tobytes() == after.predict(inputs[:200]).tobytes()
