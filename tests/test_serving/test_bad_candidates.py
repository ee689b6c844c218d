"""Versions that must never answer: each is refused with its reason, and the one before goes on answering."""

import json
import os
import pickle

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from feature_repo.targets import FORECAST_V2
from lake.errors import EngineError, ModelError, RefusedModelError
from lake.settings import Settings
from serving.deployment import Champions, candidates, read_deployment
from serving.deployment.candidates import require_candidate
from serving.deployment.record import Release, write_deployment
from serving.engines import MODEL_FILE, PARITY_FILE, SIGNATURE_FILE
from serving.engines.batch_granularity import probe_windows
from support.waiting import until


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def graph_with(content, *nodes):
    """The model with further nodes between its answer and what it gives."""
    model = onnx.load_model_from_string(content)
    for node in model.graph.node:
        node.output[:] = ["inner" if name == "quantiles" else name for name in node.output]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def outside(content):
    """The model with one tensor in another file."""
    model = onnx.load_model_from_string(content)
    tensor = next(one for one in model.graph.initializer if one.name == "weight")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/hostname")
    return model.SerializeToString()


NAN = (helper.make_node("Sub", ["inner", "inner"], ["zero"]), helper.make_node("Div", ["zero", "zero"], ["quantiles"]))
SIGNED = {
    "truncated": (lambda c: c[: len(c) // 2], {}, "no ONNX model|cannot be loaded"),
    "garbage": (lambda _: np.random.default_rng(0).bytes(5_000), {}, "no ONNX model|cannot be loaded"),
    "empty": (lambda _: b"", {}, "cannot be loaded"),
    "a pickle": (lambda _: pickle.dumps({"weights": [1.0] * 99}), {}, "no ONNX model|cannot be loaded"),
    "weights in another file": (outside, {}, "outside its file"),
    "other sessions": (lambda c: c, {"sessions": 29}, "takes 29 sessions"),
    "features in another order": (lambda c: c, {"features": FORECAST_V2.features[::-1]}, "or in another order"),
    "other horizons": (lambda c: c, {"horizons": [1, 10]}, "10 sessions is not among them"),
    "other quantiles": (lambda c: c, {"quantiles": [0.05, 0.5, 0.95]}, r"quantiles \[0.05, 0.5, 0.95\]"),
    "files of another model": (lambda c: c, {"name": "lstm"}, "holds model 'lstm'"),
    "no number": (lambda c: graph_with(c, *NAN), {}, "answered nan"),
    "falling quantiles": (
        lambda c: graph_with(c, helper.make_node("Neg", ["inner"], ["quantiles"])), {}, "out of order",
    ),
    "too many horizons": (
        lambda c: graph_with(c, helper.make_node("Concat", ["inner", "inner"], ["quantiles"], axis=1)), {}, "shape",
    ),
}  # fmt: skip


def to_link(path):
    aside = path.rename(path.with_name(f"{path.name}.aside"))
    path.symlink_to(aside, target_is_directory=aside.is_dir())


def to_pipe(path):
    path.unlink()
    os.mkfifo(path)


PLACED = {
    "other bytes than signed": (lambda f: (f / MODEL_FILE).write_bytes(b"corrupt"), "altered after export"),
    "no model file": (lambda f: (f / MODEL_FILE).unlink(), "is missing"),
    "no proof": (lambda f: (f / PARITY_FILE).unlink(), "parity.json is missing"),
    "no signature": (lambda f: (f / SIGNATURE_FILE).unlink(), "signature.json is missing"),
    "a signature that is no text": (lambda f: (f / SIGNATURE_FILE).write_bytes(b"\xff\xfe"), "is no text"),
    "proof of another file": (lambda f: edit(f / PARITY_FILE, digest="0" * 64), "belongs to file 000000000000"),
    "too few windows": (lambda f: edit(f / PARITY_FILE, windows=999), "covers 999 windows"),
    "too large a difference": (lambda f: edit(f / PARITY_FILE, max_absolute_difference=1.1e-5), "by up to 1.10e-05"),
    "a linked file": (lambda f: to_link(f / MODEL_FILE), "through a link"),
    "a linked folder": (to_link, "through a link"),
    "a linked parent": (lambda f: to_link(f.parent), "is a link"),
    "a pipe": (lambda f: to_pipe(f / MODEL_FILE), "no plain file"),
}  # fmt: skip


@pytest.fixture
def serving(tmp_path, put, exports):
    """Champions that are watched, with one good version in service."""
    settings = Settings(home=tmp_path / "home")
    put(settings, exports["ridge"], "1")
    champions = Champions(settings).watch()
    champions.current()
    yield champions
    champions.close()


def deploy(champions, release):
    write_deployment(champions.configured, read_deployment(champions.configured).promoted("ridge", release))


def assert_refused(champions, why, version="2"):
    """The watching thread refuses the version, says why, and the one before answers all the while and after."""
    before = champions.current()
    until(lambda: champions.current() is not before or champions.refusals, "nothing was refused")
    (refusal,) = champions.refusals
    assert (refusal.model, refusal.version) == ("ridge", version)
    assert_matches(why, refusal.reason)
    assert champions.problem == refusal.reason
    assert champions.current() is before
    assert champions.current().engines["ridge"].version == "1"


def assert_matches(pattern, text):
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


@pytest.mark.parametrize("kind", SIGNED)
def test_a_model_that_is_signed_for_what_it_is_not_is_refused(kind, serving, sign_anew, exports):
    change, signed, why = SIGNED[kind]
    folder = serving.configured.models / "ridge" / "2"
    sign_anew(exports["ridge"].folder, folder, change(exports["ridge"].content), **signed)
    digest = json.loads((folder / SIGNATURE_FILE).read_text())["digest"]
    release = Release(version="2", digest=digest)
    with pytest.raises(RefusedModelError, match=why):
        require_candidate(serving.configured, "ridge", release)
    deploy(serving, release)
    assert_refused(serving, why)


@pytest.mark.parametrize("kind", PLACED)
def test_files_that_do_not_hold_together_are_refused(kind, serving, put, variant):
    change, why = PLACED[kind]
    settings = serving.configured
    release = put(settings, variant("ridge", 1), "2", is_champion=False)
    change(settings.models / "ridge" / "2")
    with pytest.raises(RefusedModelError, match=why):
        require_candidate(settings, "ridge", release)
    deploy(serving, release)
    assert_refused(serving, why)


def test_files_exchanged_after_promotion_are_refused_by_the_registrys_digest(serving, put, variant):
    put(serving.configured, variant("ridge", 1), "2", is_champion=False)
    deploy(serving, Release(version="2", digest=variant("ridge", 2).digest))
    assert_refused(serving, "the files were exchanged after promotion")


def test_a_version_that_is_not_there_is_refused_until_it_is(serving, put, variant):
    deploy(serving, Release(version="2", digest=variant("ridge", 1).digest))
    assert_refused(serving, "is missing")
    put(serving.configured, variant("ridge", 1), "2")
    until(lambda: serving.current().engines["ridge"].version == "2", "the mended version was not taken up")
    assert serving.refusals == ()
    assert serving.problem is None


def test_a_bad_challenger_is_refused_and_sees_nothing(serving, put, variant):
    settings = serving.configured
    release = put(settings, variant("ridge", 1), "2", is_champion=False)
    (settings.models / "ridge" / "2" / PARITY_FILE).unlink()
    said = {"model": "ridge", "version": "2", "digest": release.digest, "mode": "canary", "share": 1.0}
    deployment = json.loads(read_deployment(settings).model_dump_json())
    deployment["challengers"] = [said | {"since": "2013-01-02T21:00:00Z"}]
    write_deployment(settings, type(read_deployment(settings)).model_validate(deployment))
    assert_refused(serving, "parity.json is missing")
    assert serving.current().challengers == ()


def test_one_bad_version_does_not_hold_up_a_good_one(serving, put, variant, exports):
    put(serving.configured, exports["naive"], "1")
    deploy(serving, Release(version="9", digest="0" * 64))
    until(lambda: "naive" in serving.current().engines and serving.refusals)
    assert {name: b.version for name, b in serving.current().bundles.items()} == {"naive": "1", "ridge": "1"}


def test_a_service_that_starts_does_not_answer_with_half_a_deployment(serving, put, exports):
    put(serving.configured, exports["naive"], "1")
    deploy(serving, Release(version="9", digest="0" * 64))
    with pytest.raises(ModelError, match=r"ridge/9/model\.onnx is missing"):
        Champions(serving.configured).current()


def test_without_the_warming_a_model_that_answers_nonsense_would_be_in_service(
    serving, sign_anew, exports, monkeypatch
):
    """The mutant: what the first forecasts find is not found by any other check."""
    monkeypatch.setattr(candidates, "warm", lambda _: None)
    folder = serving.configured.models / "ridge" / "2"
    sign_anew(exports["ridge"].folder, folder, graph_with(exports["ridge"].content, *NAN))
    release = Release(version="2", digest=json.loads((folder / SIGNATURE_FILE).read_text())["digest"])
    loaded = require_candidate(serving.configured, "ridge", release)
    assert np.isnan(loaded.engine._run(probe_windows(loaded.bundle.signature, 1))).all()


def test_looking_again_reaches_every_process_that_follows_the_deployment(home, tmp_path, exports, put, monkeypatch):
    settings = home.settings.model_copy(update={"home": tmp_path / "home"})
    for bundle in exports.values():
        put(settings, bundle, "1")

    def fail(*_):
        raise EngineError("no memory left")

    with monkeypatch.context() as patch:
        patch.setattr("serving.deployment.champions.load_candidate", fail)
        workers = [Champions(settings) for _ in range(2)]
        for worker in workers:
            with pytest.raises(ModelError):
                worker.current()
    with pytest.raises(ModelError):
        workers[1].current()
    workers[0].look()
    assert workers[1].current().engines.keys() == exports.keys()
