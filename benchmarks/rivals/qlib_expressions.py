"""Evaluate expressions with Qlib itself: a script for an environment that has pyqlib, where quantlake is not needed.

``python qlib_expressions.py in.npz out.npz``. The input holds ``symbols``, ``sessions`` (ISO dates), ``expressions``
(texts, or "Alpha158" for Qlib's own), ``processes`` and one array ``[symbol, session]`` per field of a bar, named after
it; NaN where a symbol has no value. The output holds ``values`` as ``[expression, symbol, session]``, the ``names`` and
texts of the ``expressions`` and ``seconds``, which Qlib took to read and compute.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

FIELDS = ("open", "high", "low", "close", "volume", "vwap")


def write_bars(folder: Path, panel: dict[str, Any]) -> None:
    """Write the panel in the format of Qlib's file storage.

    One file per symbol and field, little-endian float32: the number of its first session, then its values. A symbol
    begins with its first close, as a new listing does.
    """
    symbols, sessions = [str(s) for s in panel["symbols"]], [str(s) for s in panel["sessions"]]
    for name, lines in {
        "calendars/day.txt": sessions,
        "instruments/all.txt": [f"{symbol}\t{sessions[0]}\t{sessions[-1]}" for symbol in symbols],
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for row, symbol in enumerate(symbols):
        own = folder / "features" / symbol.lower()
        own.mkdir(parents=True)
        first = int(np.argmax(~np.isnan(panel["close"][row])))
        for field in FIELDS:
            np.hstack([[first], panel[field][row, first:]]).astype("<f4").tofile(own / f"{field}.day.bin")


def evaluate(folder: Path, panel: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Evaluate the expressions over all symbols; values as [expression, symbol, session], and seconds."""
    import qlib
    from qlib.data import D

    qlib.init(provider_uri=str(folder), kernels=int(panel["processes"]), logging_level=40)
    symbols, expressions = [str(s) for s in panel["symbols"]], list(panel["expressions"])
    began = time.perf_counter()
    frame = D.features(symbols, expressions, freq="day")
    seconds = time.perf_counter() - began
    values = np.full((len(expressions), len(symbols), len(panel["sessions"])), np.nan, dtype="f4")
    place = {np.datetime64(session): i for i, session in enumerate(panel["sessions"])}
    for row, symbol in enumerate(symbols):
        own = frame.loc[symbol]
        columns = [place[stamp] for stamp in own.index.values.astype("datetime64[D]")]
        values[:, row, columns] = own.to_numpy(dtype="f4").T
    return values, seconds


def main() -> None:
    """Read the input file, compute and write the output file."""
    panel = dict(np.load(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        names = panel["expressions"] = np.atleast_1d(panel["expressions"]).astype(str)
        if names.tolist() == ["Alpha158"]:
            from qlib.contrib.data.loader import Alpha158DL

            panel["expressions"], names = Alpha158DL.get_feature_config()
        write_bars(Path(folder), panel)
        values, seconds = evaluate(Path(folder), panel)
    np.savez(sys.argv[2], values=values, names=names, expressions=panel["expressions"], seconds=seconds)


if __name__ == "__main__":
    main()
