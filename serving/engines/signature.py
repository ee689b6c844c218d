"""Signature of a served model: inputs, their order, outputs, and provenance."""

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lake.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol, Self

    class WindowLike(Protocol):
        """Window specification that a signature is compared with, see `feature_repo`."""

        @property
        def name(self) -> str:
            """Name of the specification."""
            ...

        @property
        def features(self) -> Sequence[str]:
            """Features, in order."""
            ...

        @property
        def sessions(self) -> int:
            """Sessions a window holds."""
            ...


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Signature(BaseModel):
    """Inputs and outputs of an exported model.

    The input is float32 ``[batch, session, 2 * feature]``, oldest session first: the values with 0 for what is not
    known, then the mask (1 known, 0 not known). The output is float32 ``[batch, horizon, quantile]``: quantiles of
    the simple return over each horizon, in rising order.

    Parameters
    ----------
    name
        Model name, e.g. ``lstm``.
    window_spec
        Name of the window specification the input is cut by.
    features
        Features, in the order of the input's channels.
    sessions
        Sessions in one window.
    horizons
        Horizons of the output, in sessions.
    quantiles
        Probabilities of the output's quantiles.
    scaler
        Where and on what the input is scaled.
    table_versions
        Delta versions of the tables the model was fitted on.
    train_until
        Instant from which on the model knows nothing: labels it was fitted on ended then or before.
    code_version
        Version of this project that exported it.
    digest
        SHA-256 of the ONNX file.
    background
        SHA-256 of the file with the typical windows of the training; None, and not written, for an export without one.
    explain
        SHA-256 of the graph that answers where the network looked; None, and not written, for one without attention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[a-z0-9_]+$")
    window_spec: str
    features: tuple[str, ...] = Field(min_length=1)
    sessions: int = Field(ge=1)
    horizons: tuple[int, ...] = Field(min_length=1)
    quantiles: tuple[float, ...] = Field(min_length=1)
    scaler: str
    table_versions: dict[str, int]
    train_until: AwareDatetime
    code_version: str
    digest: Sha256
    background: Sha256 | None = Field(default=None, exclude_if=lambda digest: digest is None)
    explain: Sha256 | None = Field(default=None, exclude_if=lambda digest: digest is None)
    input_name: str = "window"
    output_name: str = "quantiles"
    dtype: Literal["float32"] = "float32"

    @model_validator(mode="after")
    def _is_sane(self) -> "Self":
        if len(set(self.features)) < len(self.features):
            raise ValueError("features are named twice")
        if list(self.horizons) != sorted(set(self.horizons)) or self.horizons[0] < 1:
            raise ValueError(f"horizons {self.horizons} are not rising positive numbers of sessions")
        if list(self.quantiles) != sorted(set(self.quantiles)) or not 0 < self.quantiles[0] <= self.quantiles[-1] < 1:
            raise ValueError(f"quantiles {self.quantiles} are not rising probabilities")
        return self

    @property
    def channels(self) -> int:
        """Channels of the input: every feature's value, then every feature's mask."""
        return 2 * len(self.features)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the signature itself, whatever the order its fields were given in."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def matches(self, window_spec: "WindowLike") -> bool:
        """Whether windows cut by a specification are what the model was trained on."""
        return (
            self.window_spec == window_spec.name
            and self.features == tuple(window_spec.features)
            and self.sessions == window_spec.sessions
        )

    def require_match(self, window_spec: "WindowLike") -> None:
        """Refuse windows the model was not trained on.

        Raises
        ------
        ModelError
            Naming what differs.
        """
        if not self.matches(window_spec):
            raise ModelError(
                f"Model '{self.name}' takes {self.sessions} sessions of {len(self.features)} features "
                f"('{self.window_spec}'), but the windows are '{window_spec.name}' with {window_spec.sessions} "
                f"sessions of {len(window_spec.features)} features, or in another order. "
                "Train and promote the model again."
            )

    def channel(self, index: int) -> str:
        """Name of one input channel, for messages."""
        kind = "value" if index < len(self.features) else "mask"
        return f"{kind} of '{self.features[index % len(self.features)]}'"

    def to_json(self) -> str:
        """The signature as indented JSON."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Signature":
        """Read a signature.

        Raises
        ------
        ModelError
            If a field is missing, unknown or out of bounds.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'signature'}: {e['msg']}" for e in error.errors())
            raise ModelError(
                f"The model's signature.json cannot be used: {problems}. Export the model again."
            ) from error
