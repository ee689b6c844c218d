"""Entry points of the replay for commands, assets and notebooks."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from lake.store import unverified
from lake.tables import RECEIPTS
from serving.forecasts import WALKED
from serving.receipts import EngineSettings, ModelUse, Receipt, ReplayFinding, drain_digest, running_code
from serving.replay.answered import compare_answer
from serving.replay.backfills import recompute_backfills
from serving.replay.cases import LAKE, Case, cases, identities
from serving.replay.engine_cache import EngineCache
from serving.replay.findings import Replayed
from serving.replay.recompute import ReplayJob, recompute

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

TOLERANCE = 1e-5
"""Largest difference that another engine or processor may make, as a fraction of price."""
AT_ONCE = 20_000
"""Forecasts held in memory at a time."""
ON_A_PROCESSOR = EngineSettings(device="cpu", provider="CPUExecutionProvider", threads=1)
"""What computes where nothing was written down about it."""


def replay(
    lake: "Lake",
    configured: "Settings",
    ids: Sequence[str] | None = None,
    *,
    since: datetime | None = None,
    newest: int | None = None,
) -> list[Replayed]:
    """Recompute stored forecasts and compare them, bit for bit on a CPU.

    Parameters
    ----------
    ids
        Which; by default all that the other parameters let through. One that is not stored is not among the results.
    since
        Only those whose last known session closed then or later.
    newest
        Only so many, those made last.

    Returns
    -------
    list[Replayed]
        One per forecast, with everything that is not as it was.
    """
    lake = _as_it_lies(lake)
    where = None if since is None else pl.col("event_time") >= since
    wanted = identities(lake, configured, where=where, newest=newest) if ids is None else list(ids)
    engines = EngineCache(configured)
    parts = (wanted[at : at + AT_ONCE] for at in range(0, len(wanted), AT_ONCE))
    return [result for part in parts for result in replay_cases(lake, engines, cases(lake, configured, part))]


def replay_sample(lake: "Lake", configured: "Settings", *, among: int, size: int, seed: str) -> list[Replayed]:
    """Recompute a sample of the newest forecasts; the same seed draws the same sample.

    Forecasts that a person released from quarantine unverified are not drawn: they prove nothing, and are known to.

    Parameters
    ----------
    among
        How many of the newest are drawn from.
    size
        How many are drawn.
    """

    def lot(forecast_id: str) -> bytes:
        return hashlib.sha256(f"{seed} {forecast_id}".encode()).digest()

    flagged = unverified(lake)
    drawn = [name for name in identities(_as_it_lies(lake), configured, newest=among) if name not in flagged]
    return replay(lake, configured, sorted(drawn, key=lot)[:size])


def _as_it_lies(lake: "Lake") -> "Lake":
    """The lake with altered files read as they are: all that is read is compared with receipts, forecast by forecast.

    So a forecast that an altered file does not touch still comes out equal, and one that it does names the file.
    """
    return replace(lake, verifies=False)


def without_receipt(lake: "Lake", found: Sequence[Replayed]) -> list[str]:
    """Served forecasts that cannot be made again, of sessions since receipts are written; a sentence for each."""
    first = lake.scan(RECEIPTS).select(pl.col("known_time").min()).collect().item() if lake.exists(RECEIPTS) else None
    lost = [
        result.forecast_id
        for result in found
        if first and result.kind not in WALKED and result.verdict == "unknown" and result.as_of > first
    ]
    return [f"forecast {name}: it has no receipt, though receipts are written since {first}" for name in lost]


def replay_cases(lake: "Lake", engines: EngineCache, found: Sequence[Case]) -> list[Replayed]:
    """Recompute these forecasts, grouped by the table versions they read."""
    jobs, replayed = list[ReplayJob](), list[Replayed]()
    _judge_drains(lake, found)
    for case in found:
        row = case.row
        result = Replayed(case.forecast_id, row["kind"], row["symbol"], row["event_time"])
        result.findings += case.findings
        replayed.append(result)
        receipt = case.receipt or (_of_old_replay(case) if case.is_replay else None)
        if receipt is None:
            result.unknown.append("its receipt: none was written when it was made, or it cannot be read")
            continue
        _judge_engine(result, receipt, is_written=case.receipt is not None)
        jobs.append(ReplayJob(case, receipt, result, calendar=lake.market.grid))
    recompute_backfills(lake, engines, [job for job in jobs if job.case.is_replay])
    served = [job for job in jobs if not job.case.is_replay]
    recompute(lake, engines, served)
    for job in served:
        compare_answer(job, is_same_code=job.receipt.code.sources == running_code().sources)
    return replayed


def _judge_drains(lake: "Lake", found: Sequence[Case]) -> None:
    """Compare forecasts of the lake with what the audit trail says of their drain."""
    drained = [case for case in found if case.source == LAKE and not case.is_replay]
    wrong = drain_digest.judge(lake, [(case.row, case.content, case.answer is not None) for case in drained])
    for case in drained:
        if case.forecast_id in wrong:
            case.findings.append(wrong[case.forecast_id])


def _judge_engine(result: Replayed, receipt: Receipt, *, is_written: bool) -> None:
    """Decide whether the bits have to be the same, and note another code or engine than today's."""
    now, then = running_code(), receipt.code
    if not is_written:
        result.unknown.append("engine and code: they were not written down when it was made")
    elif (then.commit, then.sources) != (now.commit, now.sources):
        versions = f"made by {then.version} ({then.commit[:12] or 'no commit'}), made again by {now.version}"
        text = f"{versions} ({now.commit[:12] or 'no commit'})"
        result.add(ReplayFinding("code", then.sources[:12], text))
    is_same = (then.processor, then.onnxruntime, then.numpy) == (now.processor, now.onnxruntime, now.numpy)
    result.is_exact = is_written and is_same and all(use.engine.is_exact for use in receipt.models)
    result.tolerance = 0.0 if result.is_exact else TOLERANCE
    if is_written and not result.is_exact:
        devices = ", ".join(sorted({use.engine.device for use in receipt.models}))
        what = f"{devices} with ONNX Runtime {then.onnxruntime} on {then.processor}"
        text = f"made by {what}, made again on {now.processor}: within {TOLERANCE:.0e}"
        result.add(ReplayFinding("engine", devices, text))


def _of_old_replay(case: Case) -> Receipt:
    """Return the receipt of a replayed forecast that has none: its row names the versions and the model."""
    row = case.row
    name, version, digest = row["model_name"], row["model_version"], row["model_digest"]
    use = ModelUse(name=name, version=version, digest=digest, weight=1.0, engine=ON_A_PROCESSOR)
    return Receipt(forecast_id=case.forecast_id, tables=case.tables, models=(use,), code=running_code())
