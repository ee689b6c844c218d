"""Players of an explanation, and the model inputs in which some of them are absent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.catalog import family_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.api.explanations import Grain


@dataclass(frozen=True)
class Player:
    """One or several features that are present or absent together: values and flags, over all sessions.

    Parameters
    ----------
    name
        Of the feature; of the group for a group.
    group
        Group of the features.
    places
        Positions of the features in the input.
    """

    name: str
    group: str
    places: tuple[int, ...]


def players_of(features: "Sequence[str]", grain: "Grain") -> tuple[Player, ...]:
    """Return the players of a window, in the order of its features.

    Examples
    --------
    >>> [player.name for player in players_of(("return_1d", "return_5d", "volatility_20d"), "group")]
    ['returns', 'volatility']
    """
    if grain == "feature":
        return tuple(Player(name, family_of(name), (place,)) for place, name in enumerate(features))
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
    count = x.shape[-1] // 2
    is_present = np.zeros((len(coalitions), 2, count), np.bool_)  # [coalition, value or mask, feature]
    for number, player in enumerate(players):
        is_present[:, :, list(player.places)] = coalitions[:, number, None, None]
    return np.where(is_present.reshape(len(coalitions), 1, 2 * count), x, background)
