"""Fits of earlier computations, in one file beside the tables: a session in April fits nothing that January has fitted.

The file is a cache. Each fit stands under the digest of the closes it was made on (`feature_repo.compute.fitted`), the
file under a digest of its content and of every kernel's source. Without the file, or with one that is damaged or of
other kernels, the next computation takes longer and gives the same values.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np

from feature_repo.compute.fitted import KEY_BYTES, Fits, FittedKernel
from feature_repo.compute.kernel import Bars, digest
from feature_repo.spec import FeatureGroup
from lake.disk import write_durably
from lake.store import Lake

PARAMETERS = 4
MOST = 500_000
"""Fits that are kept, the newest: 20 years of 25,000 symbols."""
RECORD = np.dtype([("key", f"V{KEY_BYTES}"), ("parameters", "<f8", PARAMETERS)])


@contextmanager
def kept_fits(lake: Lake, group: FeatureGroup) -> Iterator[Fits]:
    """Fits that computations on a lake need not make again; those that are made are kept when the block ends.

    For a group that fits nothing no file is read.

    Two processes at once keep those of the later one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from feature_repo.catalog import TECHNICAL
    >>> from feature_repo.compute.garch import garch_fit
    >>> lake, closes = Lake(Path(tempfile.mkdtemp())), np.array([10.0, 11.0, 10.5, 10.75])
    >>> with kept_fits(lake, TECHNICAL) as fits:
    ...     first = fits.of(garch_fit, closes)
    >>> with kept_fits(lake, TECHNICAL) as fits:
    ...     bool((fits.of(garch_fit, closes) == first).all()), fits.made
    (True, 0)
    """
    if not any(isinstance(feature.function, FittedKernel) for feature in group):
        yield Fits()
        return
    path = _path(lake)
    fits = Fits(_read(path))
    yield fits
    if fits.made:
        _write(path, fits)


def stored_fits(lake: Lake) -> Fits:
    """Return the fits that are kept beside the tables, for a reader: what it makes beyond them is not kept."""
    return Fits(_read(_path(lake)))


def _path(lake: Lake) -> Path:
    return lake.root / ".stamps" / "fits"


def _read(path: Path) -> dict[bytes, Bars]:
    """Fits in a file; none where there is no file, or one that is damaged or of other kernels."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    seal, body = content[: sha256().digest_size], content[sha256().digest_size :]
    if seal != _seal(body):
        return {}
    records = np.frombuffer(body, RECORD)
    return dict(zip(records["key"].tolist(), records["parameters"].copy(), strict=True))


def _write(path: Path, fits: Fits) -> None:
    newest = dict(islice(fits.known.items(), max(0, len(fits.known) - MOST), None))
    records = np.empty(len(newest), RECORD)
    records["key"] = np.array(list(newest), f"V{KEY_BYTES}")
    records["parameters"] = np.array(list(newest.values())).reshape(-1, PARAMETERS)
    body = records.tobytes()
    write_durably(path, _seal(body) + body)


def _seal(body: bytes) -> bytes:
    return sha256(digest().encode() + body).digest()
