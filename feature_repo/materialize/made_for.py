"""What stored features were made for: another index or calendar would contradict them row by row."""

import json

from lake.disk import write_durably
from lake.errors import ConflictError
from lake.market import FILE
from lake.store import Lake
from lake.tables import REGIMES

STAMP = "made_for.json"


def require_made_for(lake: Lake) -> None:
    """Refuse to go on with features that were made for another index or calendar than the market declares now.

    The first call writes down what they are made for. Features stored before it was written down say their index.

    Raises
    ------
    ConflictError
        Naming what they were made for, what is declared, and the ways out.
    """
    market, path = lake.market, lake.root / ".stamps" / STAMP
    declared = {"index": market.index, "calendar": market.grid}
    try:
        made_for = {name: str(json.loads(path.read_text(encoding="utf-8"))[name]) for name in declared}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        made_for = {**declared, **_stored_index(lake)}
        if made_for == declared:
            write_durably(path, json.dumps(declared))
    changed = [name for name in declared if made_for[name] != declared[name]]
    if changed:
        was, now = (" and ".join(f"{name} '{said[name]}'" for name in changed) for said in (made_for, declared))
        raise ConflictError(
            f"The features in {lake.root} were made for the {was}, and {lake.root.parent / FILE} declares the {now}. "
            f"Nothing was computed. Put {was} back, or declare a market of another name with `quantlake market new`."
        )


def _stored_index(lake: Lake) -> dict[str, str]:
    if not lake.exists(REGIMES):
        return {}
    found = lake.scan(REGIMES).select("market").head(1).collect()
    return {"index": str(found.item())} if found.height else {}
