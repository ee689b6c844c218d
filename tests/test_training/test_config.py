from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from lake.errors import ConfigError, UnknownNameError
from lake.market import Market
from training.experiments import Experiment, list_experiments, load_experiment, parse_experiment
from training.models import MODELS


def test_every_named_experiment_can_be_read_and_carries_its_name() -> None:
    assert {"demo", "full", "test"} <= set(list_experiments())
    for name in list_experiments():
        assert load_experiment(name).name == name


def test_a_file_is_a_small_difference_from_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("optimisation:\n  epochs: 3\n")
    short = load_experiment("short", tmp_path)
    assert short.optimisation.epochs == 3
    assert short.model_dump(exclude={"name", "optimisation"}) == Experiment().model_dump(
        exclude={"name", "optimisation"}
    )
    assert short.optimisation.patience_epochs == Experiment().optimisation.patience_epochs


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("# nothing\n")
    assert load_experiment("plain", tmp_path) == Experiment(name="plain")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("epoch: 3", ["'epoch'", "Did you mean"]),
        ("optimisation: {epoch: 3}", ["'optimisation.epoch'", "'epochs'"]),
        ("parameters: {lstm: {hiden: 8}}", ["'parameters.lstm.hiden'", "'hidden'"]),
        ("splits: {embargo: 3}", ["'splits.embargo'", "'embargo_sessions'"]),
        ("parameters: {naive: {alpha: 1}}", ["parameters.naive", "no keys"]),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path, content: str, words: list[str]) -> None:
    (tmp_path / "wrong.yaml").write_text(content)
    with pytest.raises(ConfigError) as error:
        load_experiment("wrong", tmp_path)
    for word in ["wrong.yaml", *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("optimisation: {epochs: 0}", "optimisation.epochs"),
        ("optimisation: {epochs: many}", "'many'"),
        ("splits: {test_years: [2010, 2011]}", "splits.test_years"),
        ("splits: {test_years: [2011, 2009, 2010]}", "must ascend"),
        ("splits: {test_years: [2009, 2009, 2010]}", "must ascend"),
        ("train_until: 2010-12-31", "test_years"),
        ("models: [ridge]", "naive"),
        ("models: [naive, prophet]", "prophet"),
        ("search: {hidden: [8]}", "search.hidden"),
        ("parameters: {tft: {hidden: 10, heads: 4}}", "heads"),
        ("- a list", "list"),
        ("a: [", "not YAML"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "wrong.yaml").write_text(content)
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        load_experiment("wrong", tmp_path)


def test_an_unknown_experiment_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean demo"):
        load_experiment("dmeo")


def test_an_experiment_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Experiment().name = "other"  # type: ignore[misc]


def test_every_model_has_declared_parameters() -> None:
    assert {name: set(Experiment().parameters_of(name)) for name in MODELS}["ridge"] == {"penalty"}
    with pytest.raises(UnknownNameError, match="lstm"):
        Experiment().parameters_of("lsmt")


def test_the_end_of_knowledge_is_the_close_of_the_last_training_session() -> None:
    assert Experiment().knowledge_end == datetime(2011, 12, 30, 21, 0, tzinfo=UTC)
    with pytest.raises(ConfigError, match="no session"):
        _ = Experiment(train_until=date(2011, 12, 31)).knowledge_end


def test_the_fingerprint_follows_every_value() -> None:
    assert Experiment().fingerprint() == Experiment().fingerprint()
    changes = [{"seeds": (8,)}, {"parameters": {"ridge": {"penalty": 2.0}}}, {"splits": {"embargo_sessions": 6}}]
    prints = {parse_experiment(change).fingerprint() for change in [{}, *changes]}
    assert len(prints) == 4


def test_an_experiment_forecasts_what_it_declares_of_the_markets_horizons() -> None:
    market = Market("desk", horizons=("1 session", "5 sessions", "60 sessions"))
    assert Experiment().horizon_bars(market) == market.horizon_bars
    some = parse_experiment({"horizons": ["60 sessions", "1 session"]})
    assert some.horizon_bars(market) == (1, 60), "in the order of the market"
    assert some.fingerprint() != Experiment().fingerprint() == Experiment(horizons=()).fingerprint()


@pytest.mark.parametrize(
    ("horizons", "words"),
    [
        (["1 session", "20 sessions"], "'desk' has 1 session, 5 sessions, and no 20 sessions"),
        (["5 sessions"], "strategies are judged on 1 session"),
        (["15 minutes"], "and no 15 minutes"),
    ],
)
def test_horizons_that_the_market_does_not_declare_are_refused_by_name(horizons: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_experiment({"horizons": horizons}).horizon_bars(Market("desk"))


def test_a_horizon_that_is_none_is_refused_with_its_experiment() -> None:
    with pytest.raises(ConfigError, match=r"horizons: .*The horizon 'soon' is not understood"):
        parse_experiment({"horizons": ["soon"]})
