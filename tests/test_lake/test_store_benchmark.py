"""The benchmark of the store runs, compares answers before times, and says every figure it owes."""

from benchmarks.storage import measure


def test_each_figure_is_there_on_a_tiny_market() -> None:
    topic = measure(symbols=10, sessions=20, commits=3, delivery=5)
    assert [row[0].split()[0] for row in topic.rows] == ["P16", "P16", "the", "P17", "P18"]
    assert all(len(row) == len(topic.header) for row in topic.rows)
    assert "182 raw rows, 50 bars, 132 refused" in " ".join(topic.notes)
