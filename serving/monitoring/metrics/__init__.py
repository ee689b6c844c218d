"""Every metric of the platform, declared once: name with its unit, kind, labels, meaning.

What computes a number imports its collector from here. Labels take few values, all of them ours: never a symbol, an id
or a text of a client, so that the series stay countable whatever is asked. With several workers each writes its share
into files of a common folder, and whichever answers a scrape adds them up.

- `service`, `forecasts`, `online`, `models`, `log`, `backups`, `quality`, `explanations`, `advice`, `pages`,
  `pipeline`, `risk`: the metrics, by subject
- `declaring`, `shared_files`: kinds of metrics, and the files that processes share them in
- `observing`: histograms are written after the answer
- `exposing`: what a scrape gets
"""

from serving.monitoring.metrics.advice import RECOMMENDATION_SECONDS, RECOMMENDATIONS
from serving.monitoring.metrics.backups import BACKED_UP, BACKUPS_CONFIGURED, DRILLED
from serving.monitoring.metrics.declaring import FAST, METRICS, PREFIX, ManyAtOnce, Metric
from serving.monitoring.metrics.explanations import (
    EXPLANATION_ADDITIVITY_ERROR,
    EXPLANATION_JOBS,
    EXPLANATION_SECONDS,
    NARRATIVE_SECONDS,
    NARRATIVE_SENTENCES,
    RETRIEVAL_FUTURE_HITS,
    RETRIEVAL_SECONDS,
)
from serving.monitoring.metrics.exposing import exposition, forget_dead_workers, page_exposition
from serving.monitoring.metrics.forecasts import (
    BATCH_ROWS,
    DEGRADED,
    ENGINE_SECONDS,
    FORECASTS,
    LATEST,
    LATEST_FAILURES,
    LATEST_WRITTEN,
    STAGE_SECONDS,
    count_degraded,
    count_logged,
    observe_batch,
)
from serving.monitoring.metrics.log import LOG_BYTES, LOG_DAMAGED, LOG_OLDEST_SECONDS, LOG_QUARANTINED, LOG_WAITING
from serving.monitoring.metrics.models import MODEL_EXCHANGES, MODEL_INFO, MODEL_REFUSALS
from serving.monitoring.metrics.observing import flush, observe, timer
from serving.monitoring.metrics.online import (
    FEATURES_AGE_SECONDS,
    FEATURES_AGE_SESSIONS,
    ONLINE_REPAIRS,
    ONLINE_UNVERIFIED,
    REDIS_RESTARTS,
    OnlineNotice,
)
from serving.monitoring.metrics.pages import LOGINS, PAGE_METRICS, PAGE_SECONDS, PAGE_STREAMS
from serving.monitoring.metrics.pipeline import (
    ASSET_AGE_SECONDS,
    ASSET_CHECKS_FAILED,
    JOB_AGE_SECONDS,
    RUN_WAITING_SECONDS,
)
from serving.monitoring.metrics.quality import (
    COVERAGE,
    FORECAST_COVERAGE,
    FORECAST_COVERAGE_LIMIT,
    FORECAST_COVERAGE_OUTCOMES,
    FORECAST_ERROR,
    MATURED,
    PINBALL,
    SKILL,
    SKILL_LIMIT,
    SKILL_SESSIONS,
)
from serving.monitoring.metrics.risk import ALERTS, ALERTS_UNDELIVERED, LIMIT_USED, RISK_STATE
from serving.monitoring.metrics.service import (
    LIMITED,
    PROBLEMS,
    READY,
    REQUEST_SECONDS,
    STREAM_DELAY_SECONDS,
    STREAM_DROPPED,
    STREAM_UPDATES,
    STREAMS,
    WORKERS,
)

__all__ = [
    "ALERTS",
    "ALERTS_UNDELIVERED",
    "ASSET_AGE_SECONDS",
    "ASSET_CHECKS_FAILED",
    "BACKED_UP",
    "BACKUPS_CONFIGURED",
    "BATCH_ROWS",
    "COVERAGE",
    "DEGRADED",
    "DRILLED",
    "ENGINE_SECONDS",
    "EXPLANATION_ADDITIVITY_ERROR",
    "EXPLANATION_JOBS",
    "EXPLANATION_SECONDS",
    "FAST",
    "FEATURES_AGE_SECONDS",
    "FEATURES_AGE_SESSIONS",
    "FORECASTS",
    "FORECAST_COVERAGE",
    "FORECAST_COVERAGE_LIMIT",
    "FORECAST_COVERAGE_OUTCOMES",
    "FORECAST_ERROR",
    "JOB_AGE_SECONDS",
    "LATEST",
    "LATEST_FAILURES",
    "LATEST_WRITTEN",
    "LIMITED",
    "LIMIT_USED",
    "LOGINS",
    "LOG_BYTES",
    "LOG_DAMAGED",
    "LOG_OLDEST_SECONDS",
    "LOG_QUARANTINED",
    "LOG_WAITING",
    "MATURED",
    "METRICS",
    "MODEL_EXCHANGES",
    "MODEL_INFO",
    "MODEL_REFUSALS",
    "NARRATIVE_SECONDS",
    "NARRATIVE_SENTENCES",
    "ONLINE_REPAIRS",
    "ONLINE_UNVERIFIED",
    "PAGE_METRICS",
    "PAGE_SECONDS",
    "PAGE_STREAMS",
    "PINBALL",
    "PREFIX",
    "PROBLEMS",
    "READY",
    "RECOMMENDATIONS",
    "RECOMMENDATION_SECONDS",
    "REDIS_RESTARTS",
    "REQUEST_SECONDS",
    "RETRIEVAL_FUTURE_HITS",
    "RETRIEVAL_SECONDS",
    "RISK_STATE",
    "RUN_WAITING_SECONDS",
    "SKILL",
    "SKILL_LIMIT",
    "SKILL_SESSIONS",
    "STAGE_SECONDS",
    "STREAMS",
    "STREAM_DELAY_SECONDS",
    "STREAM_DROPPED",
    "STREAM_UPDATES",
    "WORKERS",
    "ManyAtOnce",
    "Metric",
    "OnlineNotice",
    "count_degraded",
    "count_logged",
    "exposition",
    "flush",
    "forget_dead_workers",
    "observe",
    "observe_batch",
    "page_exposition",
    "timer",
]
