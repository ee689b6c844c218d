"""Alerts about skill and coverage, each on what a scrape shows of the figures: when they fire, and when they do not."""

from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from serving.monitoring import metrics
from serving.outcomes import Figures, show_figures
from support.figures import records
from support.promql import evaluate

ALERTS = Path(metrics.__file__).parents[1] / "alerts.yaml"
RULES = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}
SKILL, COVERAGE = "QuantlakeSkillNegative", "QuantlakeCoverageBroken"


@pytest.fixture
def shows():
    """Show figures in the place of the ones before; forgets them at the end."""
    shown = [Figures()]

    def show(figures):
        show_figures(figures, shown[-1])
        shown.append(figures)

    yield show
    show(Figures())


def firing(alert):
    """Models and horizons for which a rule gives a series."""
    samples = [(one.name, one.labels, one.value) for family in REGISTRY.collect() for one in family.samples]
    return {
        tuple(dict(labels)[name] for name in ("model", "horizon_sessions"))
        for labels in evaluate(RULES[alert], samples)
    }


@pytest.mark.parametrize(
    ("skill", "sessions", "fires"),
    [
        (-0.05, 60, True),
        (-0.019, 60, False),  # the interval of +-0.02 reaches zero
        (0.05, 60, False),
        (-0.05, 59, False),  # not the whole 60 sessions
    ],
)
def test_skill_fires_where_the_whole_interval_of_60_sessions_is_below_zero(shows, skill, sessions, fires):
    shows(records(skill=skill, sessions=sessions))
    assert firing(SKILL) == ({("lstm", "5")} if fires else set())


@pytest.mark.parametrize(
    ("coverage", "fires"), [(0.72, True), (0.74, False), (0.8, False), (0.86, False), (0.88, True)]
)
def test_coverage_fires_where_the_whole_interval_has_left_75_to_85_percent(shows, coverage, fires):
    shows(records(coverage=coverage))
    assert firing(COVERAGE) == ({("lstm", "5")} if fires else set())


def test_a_wide_interval_is_no_proof(shows):
    shows(records(skill=-0.05, coverage=0.6, reach=0.2))
    assert firing(SKILL) == firing(COVERAGE) == set()


def test_it_names_the_model_that_fell_and_no_other(shows):
    good, bad = records(skill=0.1), records(skill=-0.1, coverage=0.5, model="ridge")
    shows(Figures(skills=good.skills + bad.skills, coverages=good.coverages + bad.coverages))
    assert firing(SKILL) == firing(COVERAGE) == {("ridge", "5")}


def test_a_model_that_is_not_told_any_more_does_not_fire_for_ever(shows):
    shows(records(skill=-0.05, coverage=0.5))
    assert firing(SKILL)
    assert firing(COVERAGE)
    shows(Figures())
    assert firing(SKILL) == firing(COVERAGE) == set()
    shows(records(skill=-0.05, coverage=0.5))
    assert firing(SKILL)
    assert firing(COVERAGE)


@pytest.mark.parametrize("expression", ["rate(quantlake_logins_total[5m])", "quantlake_ready / 2", "time()"])
def test_what_the_evaluator_does_not_know_it_refuses(expression):
    with pytest.raises(NotImplementedError, match="This evaluator does not know"):
        evaluate(expression, [])
