"""ONNX Runtime engine: on the CPU by default, on CUDA by setting."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lake.errors import EngineError
from serving.engines.base import CHUNK_WINDOWS, require_input, require_output
from serving.engines.batch_granularity import ALONE, fill_up, measure_grain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from lake.settings import Settings
    from serving.engines.bundles import Export

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxEngine:
    """One exported model loaded into ONNX Runtime.

    Parameters
    ----------
    export
        Verified file; the session is built from the very bytes whose digest was checked.
    provider
        ONNX Runtime's name of the execution provider that must compute.
    options
        Options of that provider.
    threads
        Threads inside one call.
    device
        How the engine calls itself in a status answer.

    Attributes
    ----------
    grain
        Batches are filled up to a multiple of it, so that on a processor the answer for a window has the same bits in
        whatever batch it is computed; `ALONE` where only a batch of one has it. On other devices it is 1, and the last
        bits may depend on the batch.
    """

    def __init__(
        self,
        export: "Export",
        *,
        provider: str = PROVIDERS["cpu"],
        options: "Mapping[str, str] | None" = None,
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        self.signature, self.version, self.device = export.signature, export.version, device
        self.provider, self.threads = provider, threads
        self._session = open_session(export, provider, options or {}, threads)
        self.grain = measure_grain(self._run, export.signature) if provider == PROVIDERS["cpu"] else 1

    @classmethod
    def load(cls, export: "Export", configured: "Settings") -> "OnnxEngine":
        """Load an export with the device of the settings."""
        return cls(
            export,
            provider=PROVIDERS[configured.provider],
            threads=configured.engine_threads,
            device=configured.provider,
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the ONNX file it computes."""
        return self.signature.digest

    def predict(self, x: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Forecast a batch of windows; see `serving.engines.base.Engine.predict`."""
        require_input(x, self.signature)
        if not len(x):
            return np.empty((0, len(self.signature.horizons), len(self.signature.quantiles)), np.float32)
        filled, step = (x, 1) if self.grain == ALONE else (fill_up(x, self.grain), CHUNK_WINDOWS)
        chunks = [self._run(filled[start : start + step]) for start in range(0, len(filled), step)]
        y = (chunks[0] if len(chunks) == 1 else np.concatenate(chunks))[: len(x)]
        require_output(y, self.signature, len(x))
        return y

    def _run(self, x: "NDArray[np.float32]") -> "NDArray[np.float32]":
        signature = self.signature
        try:
            answer: NDArray[np.float32] = self._session.run([signature.output_name], {signature.input_name: x})[0]
        except Exception as error:
            raise EngineError(f"The engine of model '{signature.name}' ({self.device}) failed: {error}") from error
        return answer


def open_session(export: "Export", provider: str, options: "Mapping[str, str]", threads: int) -> Any:
    """Build a session on exactly the provider asked for.

    ONNX Runtime falls back to the processor with a warning when a provider cannot start; here that is an error,
    because a service that was meant to run on a GPU and does not is found out by its users.

    Raises
    ------
    EngineError
        If the provider is not in this build of ONNX Runtime or does not start, or the model does not load.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise EngineError(
            f"Engine {provider} was asked for model '{export.name}', but this ONNX Runtime offers only "
            f"{', '.join(available)}. Install the GPU build on a machine with an NVIDIA GPU, or set "
            "QUANTLAKE_PROVIDER=cpu."
        )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # Idle workers that spin would take the processor from the other requests.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: Sequence[Any] = [(provider, dict(options))]
    try:
        session = onnxruntime.InferenceSession(export.content, sess_options=settings, providers=providers)
    except Exception as error:
        raise EngineError(f"Model '{export.name}' cannot be loaded into {provider}: {error}") from error
    if session.get_providers()[0] != provider:
        raise EngineError(
            f"{provider} did not start for model '{export.name}'; ONNX Runtime fell back to "
            f"{session.get_providers()[0]}. Check the driver and its libraries, or set QUANTLAKE_PROVIDER=cpu."
        )
    return session
