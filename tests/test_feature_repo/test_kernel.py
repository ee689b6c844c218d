"""Kernels: compiled once, found again, the same as the Python they are written in."""

import subprocess
import sys
from typing import Self

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo import compiling
from feature_repo.catalog import group_of
from feature_repo.compute import kernel as kernels
from feature_repo.compute.kernel import Bars, Kernel, kernel
from feature_repo.compute.momentum import is_above
from feature_repo.compute.rolling import rolling_covariance, rolling_mean, rolling_std, seeded_mean

VALUES = st.lists(st.floats(-1e3, 1e3) | st.just(float("nan")), min_size=1, max_size=60)


USE = """
import numpy as np
from feature_repo.compute.momentum import is_above
is_above.over(np.array([0, 4]), [np.arange(4.0)], (2, 3), np.empty(4))
stats = is_above.compiled.stats
print(sum(stats.cache_misses.values()), sum(stats.cache_hits.values()))
"""


def test_a_second_process_finds_what_the_first_compiled() -> None:
    said = [
        subprocess.run([sys.executable, "-c", USE], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert said[1] == ["0", "1"]
    assert is_above.is_on_disk


def test_of_two_processes_that_need_a_kernel_one_compiles_it(tmp_path) -> None:
    """They start together; who comes second waits, and then finds the work done."""
    elsewhere = f"""
from pathlib import Path
import feature_repo.compute.kernel as kernels
kernels.compiled_to = lambda: Path({str(tmp_path)!r})
"""
    both = [
        subprocess.Popen([sys.executable, "-c", elsewhere + USE], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert sorted(process.communicate()[0].split() for process in both) == [["0", "1"], ["1", "0"]]


def test_where_the_sources_are_read_only_the_home_keeps_what_is_compiled(tmp_path, monkeypatch, settings) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("lake.compiled.settings", lambda: settings)
    assert kernels.compiled_to.__wrapped__() == settings.home / "kernels" / f"kernels-{kernels.digest()}"


def test_compiling_ahead_leaves_out_what_is_compiled(monkeypatch) -> None:
    """And says nothing then, and starts no process."""
    monkeypatch.setattr(Kernel, "is_on_disk", property(lambda _: True))
    monkeypatch.setattr(compiling, "ProcessPoolExecutor", None)
    said: list[str] = []
    assert (compiling.compile_kernels(tell=said.append), said) == (0, [])


def test_compiling_ahead_compiles_each_kernel_of_the_groups_once_and_says_so_first(tmp_path, monkeypatch) -> None:
    class Here:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        map = map

    told: list[str] = []
    monkeypatch.setattr(Kernel, "is_on_disk", property(lambda _: False))
    monkeypatch.setattr(Kernel, "compile", lambda self: told.append(self.name))
    monkeypatch.setattr(compiling, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(compiling, "compiled_to", lambda: tmp_path / "kernels-now")
    (tmp_path / "kernels-older").mkdir()
    names = {feature.function.name for feature in group_of("fractal")}
    assert compiling.compile_kernels([group_of("fractal")], told.append) == len(names)
    assert told[0].startswith(f"compiling {len(names)} feature kernels, once")
    assert sorted(told[1:]) == sorted(names)
    assert not (tmp_path / "kernels-older").exists()


def test_declaring_features_does_not_import_the_compiler() -> None:
    script = "import sys, feature_repo.catalog; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_another_source_is_another_digest(tmp_path, monkeypatch) -> None:
    """Compiled code of an older source must not be found again, not even where only a called kernel changed."""
    for path in kernels.SOURCES.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(kernels, "SOURCES", tmp_path)
    before = kernels.digest.__wrapped__()
    (tmp_path / "rolling.py").write_text("# changed", encoding="utf-8")
    assert kernels.digest.__wrapped__() != before


def test_a_function_without_bars_is_no_kernel() -> None:
    def nothing(count: int) -> Bars:
        return np.zeros(count)

    with pytest.raises(kernels.ConfigError, match="'nothing' takes 0 arrays annotated as Bars; between 1 and 5"):
        kernel(nothing)


def test_numbers_are_whole_or_not() -> None:
    def of_text(values: Bars, name: str) -> Bars:
        return values

    with pytest.raises(kernels.ConfigError, match=r"'of_text' takes \[<class 'str'>\] after its arrays; annotate each"):
        kernel(of_text)


def test_symbols_are_kept_apart_and_infinity_is_not_known() -> None:
    @kernel
    def inverse_so_far(values: Bars) -> Bars:
        return 1 / np.cumsum(values)

    out = np.empty(5)
    inverse_so_far.over(np.array([0, 2, 5]), [np.array([1.0, 1.0, 2.0, -2.0, 4.0])], (), out)
    np.testing.assert_array_equal(out, [1.0, 0.5, 0.5, np.nan, 0.25])


@given(VALUES, st.integers(2, 12))
def test_rolling_moments_are_those_of_polars(values: list[float], sessions: int) -> None:
    x = np.array(values)
    y = np.cos(x) * 7
    frame = pl.DataFrame({"x": x, "y": y}).fill_nan(None)
    expected = frame.select(
        mean=pl.col("x").rolling_mean(sessions),
        std=pl.col("x").rolling_std(sessions),
        covariance=pl.rolling_cov("x", "y", window_size=sessions, min_samples=sessions),
    )
    ours = {
        "mean": rolling_mean(x, sessions),
        "std": rolling_std(x, sessions),
        "covariance": rolling_covariance(x, y, sessions),
    }
    for name, found in ours.items():
        np.testing.assert_allclose(found, expected[name].fill_null(np.nan).to_numpy(), rtol=1e-9, atol=1e-6)


def test_a_value_that_left_the_window_leaves_no_trace() -> None:
    calm = np.sin(np.arange(400.0)) * 1e-3
    wild = calm.copy()
    wild[50] = 1e9
    for moment in (rolling_mean, rolling_std):
        np.testing.assert_array_equal(moment(wild, 60)[110:], moment(calm, 60)[110:])


@given(VALUES, st.integers(1, 5), st.integers(0, 5))
def test_the_seeded_mean_is_the_recursion_it_says(values: list[float], sessions: int, later: int) -> None:
    seeded_at = sessions + later
    known = [value for value in values if not np.isnan(value)]
    expected: list[float] = []
    for count in range(1, len(known) + 1):
        if count < seeded_at:
            expected.append(float("nan"))
        elif count == seeded_at:
            expected.append(sum(known[count - sessions : count]) / sessions)
        else:
            expected.append(0.25 * known[count - 1] + 0.75 * expected[-1])
    found = seeded_mean(np.array(values), 0.25, sessions, seeded_at)
    assert np.isnan(found[np.isnan(values)]).all()
    np.testing.assert_allclose(found[~np.isnan(values)], expected, rtol=1e-9, atol=1e-9)


def test_compiled_and_python_agree() -> None:
    close = np.cumsum(np.random.default_rng(0).standard_normal(300)) + 100
    assert isinstance(is_above, Kernel)
    np.testing.assert_array_equal(is_above(close, 5, 20), is_above.python(close, 5, 20))
