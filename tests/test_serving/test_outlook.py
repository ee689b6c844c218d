"""How sure a forecast is, in words: the bounds, answers as they are made, and answers from before the words."""

import json
import math

import pytest
from pydantic import ValidationError

from serving.api import PredictAnswer, outlook_of
from serving.api.outlook import COIN, SLIGHT
from serving.client import STORED
from serving.web.http.examples import examples

ANSWER = examples()[0].answer


@pytest.mark.parametrize(("bound", "forecasts"), [(COIN, 2_500), (SLIGHT, 252)])
def test_below_a_bound_so_many_forecasts_cannot_tell_the_share_from_one_half(bound, forecasts):
    """By the exact binomial distribution, not by the normal one that the bounds are written with."""
    at_least = range(math.ceil(bound * forecasts), forecasts + 1)
    by_chance = sum(math.comb(forecasts, hits) for hits in at_least) / 2**forecasts
    assert 0.02 < by_chance < 0.035, "about a fortieth, the upper tail of 95 %"


@pytest.mark.parametrize(
    ("direction", "confidence", "words"),
    [
        ("down", 0.506, "no better than a coin"),
        ("up", 0.519999, "no better than a coin"),
        ("up", 0.52, "slightly up"),
        ("down", 0.5599, "slightly down"),
        ("down", 0.56, "down"),
        ("up", 1.0, "up"),
        ("flat", 0.5, "flat"),
    ],
)
def test_a_direction_at_a_coins_confidence_is_called_that(direction, confidence, words):
    assert outlook_of(direction, confidence) == words


def said(**change):
    prediction = {name: value for name, value in ANSWER["prediction"].items() if name != "outlook"} | change
    return ANSWER | {"prediction": prediction}


@pytest.mark.parametrize(
    ("direction", "confidence", "words"), [("down", 0.506, "no better than a coin"), ("up", 0.9, "up")]
)
def test_an_answer_from_before_the_words_is_read_with_those_that_follow_from_it(direction, confidence, words):
    earlier = json.dumps(said(direction=direction, confidence=confidence))
    for read in (PredictAnswer.model_validate_json(earlier), STORED.validate_json(earlier)):
        assert read.prediction.outlook == words


def test_other_words_are_no_answer():
    with pytest.raises(ValidationError, match="outlook"):
        PredictAnswer.model_validate(said(outlook="a sure thing"))


def test_without_a_confidence_there_are_no_words():
    with pytest.raises(ValidationError, match="confidence"):
        PredictAnswer.model_validate(said(confidence=0.3))


def test_the_recorded_answers_say_the_words_that_follow_from_them():
    single = [example.answer for example in examples() if "prediction" in (example.answer or {})]
    many = [answer for example in examples() for answer in (example.answer or {}).get("predictions", ())]
    assert len(single) + len(many) >= 5
    for answer in single + many:
        prediction = answer["prediction"]
        assert prediction["outlook"] == outlook_of(prediction["direction"], prediction["confidence"])
