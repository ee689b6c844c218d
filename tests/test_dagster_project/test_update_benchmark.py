"""The benchmark of an update runs, at a size that says nothing about speed."""

import pytest

from benchmarks.update import measure_features


def test_one_more_session_is_measured_and_compared(tmp_path) -> None:
    figure, note = measure_features(tmp_path, symbols=4, history=30, sessions=2)
    assert figure.what == "P5 features of one more session"
    assert len(figure.to_row()) == 6
    assert "agree to 1e-9" in note


@pytest.mark.slow
def test_the_whole_benchmark_makes_a_topic() -> None:
    from benchmarks.update import measure

    topic = measure(symbols=60, history=300, sessions=2, served_history=280)
    assert all(len(row) == len(topic.header) for row in topic.rows)
