"""What a request is made of, without HTTP."""

from datetime import date

from lake import calendars
from serving.predictor import age_sessions


def test_age_counts_sessions_not_days():
    friday, monday = (calendars.close_of(date(2012, 11, day)) for day in (16, 19))
    assert age_sessions(friday, monday) == 1
    assert age_sessions(friday, friday) == 0
