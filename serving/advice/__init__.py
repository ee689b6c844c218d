"""Advice: from a forecast and a book to an action, a size, a stop and the reasons.

- `limits`: declared limits by risk tolerance, and costs
- `gate`: the risk gate as advice sees it
- `reliability`: stated probability of past calls against how often it came true
- `asked`: what advice is computed from
- `sizing`: calibrated median, Kelly, stop, bounds
- `advising`: the decision
- `wording`: what is said about it
- `flips`: the smallest change of a feature that changes the action
- `gathering`: forecast, record and range read from tables as of an instant
- `answering`: the answer of the endpoint, and its row
- `explaining`: why a stored recommendation is what it is
- `offline`: advice for some symbols from the tables alone
"""

from serving.advice.advising import Advice, advise
from serving.advice.answering import AdviceReasons, Occasion, answer_in, answer_of, row_of
from serving.advice.asked import AdviceQuestion, AdvisedForecast, BookContext
from serving.advice.explaining import size_steps, why_recommended
from serving.advice.flips import Flip, flip_because, smallest_flip
from serving.advice.gate import UNKNOWN_GATE, AdviceGate, GateReading, SwitchGate
from serving.advice.gathering import horizon_for, range_of, record_of, records_of, usable_range
from serving.advice.limits import TOLERANCES, AdviceCosts, AdviceLimits, limits_of, paper_costs
from serving.advice.offline import Unadvised, advice_for
from serving.advice.reliability import CallBucket, CallRecord, bucket_of, buckets_of, calibration_error

__all__ = [
    "TOLERANCES",
    "UNKNOWN_GATE",
    "Advice",
    "AdviceCosts",
    "AdviceGate",
    "AdviceLimits",
    "AdviceQuestion",
    "AdviceReasons",
    "AdvisedForecast",
    "BookContext",
    "CallBucket",
    "CallRecord",
    "Flip",
    "GateReading",
    "Occasion",
    "SwitchGate",
    "Unadvised",
    "advice_for",
    "advise",
    "answer_in",
    "answer_of",
    "bucket_of",
    "buckets_of",
    "calibration_error",
    "flip_because",
    "horizon_for",
    "limits_of",
    "paper_costs",
    "range_of",
    "record_of",
    "records_of",
    "row_of",
    "size_steps",
    "smallest_flip",
    "usable_range",
    "why_recommended",
]
