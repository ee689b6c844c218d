"""Places the files of a version in the folder that the service reads: all or none, and never replaced."""

import os
import shutil
from typing import TYPE_CHECKING

from lake.disk import flush
from lake.errors import ConfigError
from serving.engines import Bundle

if TYPE_CHECKING:
    from pathlib import Path


def place(bundle: Bundle, target: "Path") -> None:
    """Copy the files beside their place and rename the folder, so that a service never meets half of it.

    Raises
    ------
    ConfigError
        If another model lies there already.
    """
    if target.exists():
        found = Bundle.load(target)
        if found.digest != bundle.digest:
            raise ConfigError(
                f"{target} already holds another model ({found.digest[:12]}, not {bundle.digest[:12]}). The registry "
                "and the models folder belong to different homes: use one QUANTLAKE_HOME for both."
            )
        return
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in bundle.files:
        shutil.copyfile(bundle.folder / name, fresh / name)
        flush(fresh / name)
    flush(fresh)
    fresh.replace(target)
    flush(target.parent)
