"""Data: from a training frame and its labels to windows, cut in time so that nothing looks ahead.

- `WindowSet`, `build_window_set`: windows with what came after them
- `Split`, `walk_forward`, `champion_split`, `sessions_of`: purged splits, and the sessions at which windows end
- `assert_no_overlap`, `assert_learnt_before`: the checks that convict a split, or a fit, that looks ahead
- `quantile_losses`, `losses_by_session`, `overlap_of`: pinball losses of forecasts for windows
- `fit_scaler`: mean and spread of each feature, learnt from training windows only
- `leak_subjects`: the split and the scaler as subjects of the leak checks (a submodule: import it where they run)
"""

from training.data.dataset import WindowSet, build_window_set
from training.data.losses import losses_by_session, overlap_of, quantile_losses
from training.data.scaling import fit_scaler
from training.data.split import Split
from training.data.splits import (
    assert_learnt_before,
    assert_no_overlap,
    champion_split,
    sessions_of,
    walk_forward,
)

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "WindowSet",
    "build_window_set",
    "Split",
    "walk_forward",
    "champion_split",
    "sessions_of",
    "assert_no_overlap",
    "assert_learnt_before",
    "quantile_losses",
    "losses_by_session",
    "overlap_of",
    "fit_scaler",
    "leak_subjects",
]
