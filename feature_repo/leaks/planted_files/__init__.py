"""Files as a user would give them, never imported by name: every function of `LEAKING` leaks, none of `HONEST` does."""

from pathlib import Path

_FOLDER = Path(__file__).parent
RARE = _FOLDER / "rare_events.py"
LEAKING = (RARE, *(_FOLDER / name for name in ("joined_ahead.py", "fitted_on_all.py", "kept_state.py")))
HONEST = _FOLDER / "honest.py"
