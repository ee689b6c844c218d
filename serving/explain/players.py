"""Players of an explanation, and the model inputs in which some of them are absent."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.catalog import family_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.api.explanations import Grain


WHOLE = slice(None)
LAST = "last"
BLOCKS = {LAST: slice(-1, None), "five_before": slice(-6, -1), "earlier": slice(None, -6)}
"""Sessions of a window by the name of their block: the last one, the five before it, and those before these."""


@dataclass(frozen=True)
class Player:
    """One or several features that are present or absent together: values and flags, over some sessions.

    Parameters
    ----------
    name
        Of the feature or the group; of a feature in a block of sessions ``feature@block``.
    group
        Group of the features.
    places
        Positions of the features in the input.
    sessions
        Sessions of the window, which may be none in a short one.
    feature
        Feature whose value in the last session is the player's; None for a group and for earlier sessions alone.
    """

    name: str
    group: str
    places: tuple[int, ...]
    sessions: slice = field(default_factory=lambda: WHOLE)
    feature: str | None = None


def players_of(features: "Sequence[str]", grain: "Grain") -> tuple[Player, ...]:
    """Return the players of a window, in the order of its features.

    Examples
    --------
    >>> names = ("return_1d", "return_5d", "volatility_20d")
    >>> [player.name for player in players_of(names, "group")]
    ['returns', 'volatility']
    >>> [player.name for player in players_of(names[:1], "session_block")]
    ['return_1d@last', 'return_1d@five_before', 'return_1d@earlier']
    """
    if grain == "feature":
        return tuple(Player(name, family_of(name), (place,), feature=name) for place, name in enumerate(features))
    if grain == "session_block":
        return tuple(
            Player(f"{name}@{block}", family_of(name), (place,), sessions, name if block == LAST else None)
            for place, name in enumerate(features)
            for block, sessions in BLOCKS.items()
        )
    families = [family_of(name) for name in features]
    places = {family: [p for p, other in enumerate(families) if other == family] for family in families}
    return tuple(Player(family, family, tuple(found)) for family, found in places.items())


def compose(
    x: "NDArray[np.float32]",
    background: "NDArray[np.float32]",
    coalitions: "NDArray[np.bool_]",
    players: "Sequence[Player]",
) -> "NDArray[np.float32]":
    """Return one model input per coalition: its players as in the asked window, all others as in the background.

    Parameters
    ----------
    x, background
        Two model inputs, ``[session, 2 * feature]``: values, then mask.
    coalitions
        ``[coalition, player]``: which players are present.

    Returns
    -------
    NDArray[np.float32]
        ``[coalition, session, 2 * feature]``.
    """
    sessions, width = x.shape
    count = width // 2
    is_present = np.zeros(
        (len(coalitions), sessions, 2, count), np.bool_
    )  # [coalition, session, value or mask, feature]
    for number, player in enumerate(players):
        is_present[:, player.sessions, :, list(player.places)] = coalitions[:, number, None, None, None]
    return np.where(is_present.reshape(len(coalitions), sessions, width), x, background)
