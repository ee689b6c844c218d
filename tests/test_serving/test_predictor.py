"""What a request is made of, without HTTP."""

import threading
from datetime import date

from lake import calendars
from serving.predict import Predictor


def test_age_counts_sessions_not_days():
    friday, monday = (calendars.close_of(date(2012, 11, day)) for day in (16, 19))
    assert calendars.count_closes(friday, monday) == 1
    assert calendars.count_closes(friday, friday) == 0


def test_a_closed_predictor_leaves_no_thread_behind(settings):
    before = set(threading.enumerate())
    predictor = Predictor.open(settings)
    assert "online-snapshot" in {thread.name for thread in set(threading.enumerate()) - before}
    predictor.close()
    assert set(threading.enumerate()) <= before
