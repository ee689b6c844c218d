"""View models of the models: the table of all, and one of them with its record by regime and by symbol."""

from collections.abc import Sequence
from dataclasses import dataclass

from lake.ledger import FamilyRecord
from serving.api import GroupRecord, HistoryModel, ModelStatus, StatusAnswer
from serving.pages import formats
from serving.pages.views.bands import Badge, badge_of
from serving.pages.views.signs import interval_and_remark, sign_of


@dataclass(frozen=True)
class ModelLine:
    """The walk-forward score of a model over one horizon, beside the best baseline."""

    model: str
    horizon: str
    version: str
    rows: str
    loss: str
    gain: str
    gain_sign: int
    beside: str
    t_value: str
    p_value: str
    verdict: str
    coverage: str
    hit_rate: str


@dataclass(frozen=True)
class RecordLine:
    """Band and skill of one group of a model's matured forecasts."""

    group: str
    outcomes: str
    badge: Badge
    skill: str
    skill_sign: int
    interval: str
    remark: str


@dataclass(frozen=True)
class ServedModel:
    """A model as the endpoint serves it."""

    version: str
    digest: str
    trained_until: str
    device: str
    parity: str
    features: int
    sessions: int
    challengers: tuple[str, ...]
    refused: tuple[str, ...]


def model_lines(models: Sequence[HistoryModel], horizon: int, name: str) -> tuple[ModelLine, ...]:
    """Return the scores over one horizon, the lowest loss first.

    Parameters
    ----------
    name
        Of the horizon, in words.
    """
    of_horizon = [model for model in models if model.horizon_sessions == horizon]
    return tuple(_line(model, name) for model in sorted(of_horizon, key=lambda model: model.pinball_loss))


def record_lines(records: Sequence[GroupRecord]) -> tuple[RecordLine, ...]:
    """Return the records of groups; good and bad skill alike, the worst first."""
    worst_first = sorted(records, key=lambda record: (record.skill.skill is None, record.skill.skill, record.group))
    return tuple(_record(record) for record in worst_first)


def trials_line(families: Sequence[FamilyRecord], family: str) -> str:
    """Return what the trial ledger says of the trials of a family, as a sentence."""
    return str(families[0]) if families else f"{family}: no trial is in the ledger"


def served_model(status: StatusAnswer, name: str) -> ServedModel | None:
    """Return a model as the endpoint serves it; None where it serves no such model."""
    found = next((model for model in status.models if model.name == name), None)
    return None if found is None else _served(found, status)


def _served(model: ModelStatus, status: StatusAnswer) -> ServedModel:
    return ServedModel(
        version=model.version,
        digest=model.digest,
        trained_until=formats.instant(model.train_until),
        device=model.device,
        parity=f"{model.parity_max_absolute_difference:.1e} on {formats.count(model.parity_windows, 'window')}",
        features=len(model.features),
        sessions=model.sessions,
        challengers=tuple(f"version {each.version}" for each in status.challengers if each.model == model.name),
        refused=tuple(f"version {each.version}: {each.reason}" for each in status.refused if each.model == model.name),
    )


def _line(model: HistoryModel, horizon: str) -> ModelLine:
    return ModelLine(
        model=model.model,
        horizon=horizon,
        version=model.champion_version or formats.UNKNOWN,
        rows=formats.UNKNOWN if model.rows is None else f"{model.rows:,}",
        loss=formats.percent(model.pinball_loss, 3),
        gain=formats.signed(model.gain, 2),
        gain_sign=sign_of(model.gain, 2),
        beside="naive" if model.is_baseline else model.best_baseline,
        t_value=formats.number(model.gain_t, 3),
        p_value=formats.number(model.p_value, 2),
        verdict=_verdict(model),
        coverage=formats.percent(model.coverage),
        hit_rate=formats.percent(model.hit_rate),
    )


def _verdict(model: HistoryModel) -> str:
    if model.is_baseline:
        return "baseline"
    if model.beats_best_baseline:
        return "beats it, chance ruled out"
    return "does not beat it" if model.gain <= 0 else "chance alone could explain it"


def _record(record: GroupRecord) -> RecordLine:
    skill = record.skill
    interval, remark = interval_and_remark(skill)
    return RecordLine(
        group=formats.words(record.group),
        outcomes=f"{record.band.outcomes:,}",
        badge=badge_of(record.band),
        skill=formats.signed(skill.skill),
        skill_sign=sign_of(skill.skill),
        interval=interval,
        remark=remark,
    )
