"""History as it was known at an instant: what the pages draw and the history routes answer.

Functions take `KnownTables` and an instant, and return types of `serving.api`. Nothing that they return became known
after the instant.

- `KnownTables`: tables of a lake as of an instant, rows kept in memory by version of the table
- `read_moment`, `instant_as_of`, `span_between`, `Span`, `RowsPage`: what a question names
- `bars_of`, `forecasts_of`, `outcomes_of`, `calibration_of`, `features_of`: one symbol
- `accuracy_of`: each forecast of a symbol beside what came, with its record by regime and quarter
- `record_in_replay`: how often the blend's bands would have held at the closes of the walk-forward
- `calls_of`: stated probabilities of all symbols beside whether they came true
- `records_by`: every symbol, regime or model, from one scan; `records_of_newest`: of models, over the newest sessions
- `records_by_size`: small, middle and large companies, by the dollar volume known at each close
- `choice_costs_of`: what the runner-up of a decision for strategies earned above what was chosen
- `watched_symbols`, `watch_rows`: every symbol of a watch list, and the rows of a part; `watch_list`: both at once
- `portfolios_of`, `portfolio_of`: what portfolios hold beside 1/N
- `regimes_of`, `selections_of`, `drift_of`, `models_of`, `latency_of`: what was decided, found and measured
"""

from serving.history.accuracy import accuracy_of
from serving.history.bars import bars_of
from serving.history.calibration import band_of, calibration_of, records_by, records_of_newest
from serving.history.calls import Calls, calls_of
from serving.history.choice_costs import choice_costs_of
from serving.history.company_size import records_by_size
from serving.history.decisions import drift_of, models_of, regimes_of, selections_of
from serving.history.features import features_of
from serving.history.forecasts import forecasts_of
from serving.history.known import KnownTables
from serving.history.latency import latency_of
from serving.history.moments import Span, instant_as_of, read_moment, span_between
from serving.history.outcomes import NAIVE, outcomes_of
from serving.history.paging import MOST_ROWS, USUAL_ROWS, RowsPage
from serving.history.portfolios import portfolio_of, portfolios_of
from serving.history.records import band_record, overlap_of, wilson
from serving.history.replayed_bands import record_in_replay, replayed_record
from serving.history.watch_list import watch_list, watch_rows, watched_symbols

__all__ = [
    "MOST_ROWS",
    "NAIVE",
    "USUAL_ROWS",
    "Calls",
    "KnownTables",
    "RowsPage",
    "Span",
    "accuracy_of",
    "band_of",
    "band_record",
    "bars_of",
    "calibration_of",
    "calls_of",
    "choice_costs_of",
    "drift_of",
    "features_of",
    "forecasts_of",
    "instant_as_of",
    "latency_of",
    "models_of",
    "outcomes_of",
    "overlap_of",
    "portfolio_of",
    "portfolios_of",
    "read_moment",
    "record_in_replay",
    "records_by",
    "records_by_size",
    "records_of_newest",
    "regimes_of",
    "replayed_record",
    "selections_of",
    "span_between",
    "watch_list",
    "watch_rows",
    "watched_symbols",
    "wilson",
]
