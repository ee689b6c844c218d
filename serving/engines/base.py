"""Protocol of the inference engines, with the checks that none of them may skip."""

from typing import TYPE_CHECKING, Protocol

import numpy as np

from lake.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.engines.signature import Signature

CHUNK_WINDOWS = 128
"""Windows per engine pass: one pass over thousands falls out of the processor's cache and takes twice as long."""


class Engine(Protocol):
    """One loaded model.

    Every engine answers only for finite float32 input of its signature's shape, and gives only finite, ordered
    quantiles; anything else is an `EngineError`.
    """

    @property
    def signature(self) -> "Signature":
        """Signature of the model: inputs and outputs."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the ONNX file it computes."""
        ...

    @property
    def version(self) -> str:
        """Registered version it serves."""
        ...

    @property
    def device(self) -> str:
        """Device that it computes on, e.g. ``cpu`` or ``tensorrt fp16``."""
        ...

    def predict(self, x: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Forecast a batch of windows.

        Parameters
        ----------
        x
            ``[batch, session, 2 * feature]``, values then mask, oldest session first.

        Returns
        -------
        NDArray[np.float32]
            ``[batch, horizon, quantile]``, returns as fractions.

        Raises
        ------
        EngineError
            If the input has another shape or type, or anything in it or in the answer is not finite, or the
            quantiles are not in order.
        """
        ...


def require_input(x: "NDArray[np.float32]", signature: "Signature") -> None:
    """Refuse what the model was not made for.

    ONNX Runtime's recurrent kernels turn a NaN into a plausible number, so it has to be stopped before the engine.
    """
    expected = (signature.sessions, signature.channels)
    if x.ndim != 3 or x.shape[1:] != expected or x.dtype != np.float32:  # noqa: PLR2004 - batch, session, channel
        raise EngineError(
            f"Model '{signature.name}' takes float32 [batch, {expected[0]}, {expected[1]}], got {x.dtype} "
            f"{list(x.shape)}. Cut the windows with to_model_input(build_windows(...))."
        )
    if not np.isfinite(x).all():
        window, session, channel = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise EngineError(
            f"The input of model '{signature.name}' holds {x[window, session, channel]} at window {window}, session "
            f"{session}, {signature.channel(channel)}. What is not known is 0 with mask 0: use to_model_input."
        )


def require_output(y: "NDArray[np.float32]", signature: "Signature", batch: int) -> None:
    """Refuse an answer that is no forecast."""
    expected = (batch, len(signature.horizons), len(signature.quantiles))
    if y.shape != expected:
        raise EngineError(
            f"Model '{signature.name}' answered with shape {list(y.shape)}, expected {list(expected)}. Its file does "
            "not compute what its signature says: export and promote it again."
        )
    if not np.isfinite(y).all():
        window, horizon, quantile = (int(i) for i in np.argwhere(~np.isfinite(y))[0])
        raise EngineError(
            f"Model '{signature.name}' answered {y[window, horizon, quantile]} for window {window}, horizon "
            f"{signature.horizons[horizon]}, quantile {signature.quantiles[quantile]}. Nothing was forecast."
        )
    is_falling = y[..., 1:] < y[..., :-1]
    if is_falling.any():
        window, horizon, _ = (int(i) for i in np.argwhere(is_falling)[0])
        raise EngineError(
            f"Model '{signature.name}' answered quantiles out of order for window {window}, horizon "
            f"{signature.horizons[horizon]}: {y[window, horizon].tolist()}. Nothing was forecast."
        )
