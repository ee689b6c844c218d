"""The embedder: a text to its sentence vector, as sentence-transformers computes it for all-MiniLM-L6-v2.

Mean of the hidden states over the tokens, scaled to length 1 (https://www.sbert.net, "Pooling" and "Normalize"). Texts
are computed one at a time: the int8 graph scales its activations by all that is in a call, so that the vector of a
text would depend on its neighbours in a batch.
"""

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lake.errors import EmbedderError
from serving.embedding.files import INSTALL, EmbedderContent, find_files, read_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lake.settings import Settings

MOST_TOKENS = 256
"""Tokens beyond it are left out, as the model was trained."""
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Embedder:
    """Computes sentence vectors. Safe for threads.

    Parameters
    ----------
    digest
        Names the files; vectors of two embedders cannot be compared.
    session, tokenizer
        Of ONNX Runtime, and of `tokenizers`.
    """

    def __init__(self, digest: str, session: Any, tokenizer: Any) -> None:
        self.digest = digest
        self._session, self._tokenizer = session, tokenizer
        self._inputs = [each.name for each in session.get_inputs()]

    @classmethod
    def of(cls, content: EmbedderContent) -> Self:
        """Return the embedder of some files.

        Raises
        ------
        EmbedderError
            If `tokenizers` is not installed, or the files are no such model.
        """
        import onnxruntime

        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the hub of tokenizers' maker is never asked for a file
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise EmbedderError(
                f"The embedder's files are here, and the package tokenizers is not. {INSTALL} with what it needs; "
                "without make: `pip install 'quantlake[rag]'`."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(content.model, options, providers=["CPUExecutionProvider"])
            tokenizer = Tokenizer.from_buffer(content.tokenizer)
        except Exception as error:  # neither library has a class of errors of its own
            raise EmbedderError(f"The embedder's files cannot be loaded: {error}. {INSTALL}.") from error
        tokenizer.enable_truncation(MOST_TOKENS)
        tokenizer.no_padding()
        made = cls(content.digest, session, tokenizer)
        made._require_states()
        return made

    def embed(self, text: str) -> "NDArray[np.float32]":
        """Return the vector of a text.

        Returns
        -------
        NDArray
            [dimension], of length 1: the product of two vectors is the cosine of their angle.
        """
        states = self._states(text)
        mean = states.mean(axis=0)
        vector: NDArray[np.float32] = mean / np.linalg.norm(mean)
        return vector

    def _states(self, text: str) -> "NDArray[np.float32]":
        """Hidden states of a text without padding: every token counts."""  # [token, dimension]
        encoded = self._tokenizer.encode(text)
        given = dict(zip(INPUTS, (encoded.ids, encoded.attention_mask, encoded.type_ids), strict=True))
        fed = {name: np.array([given[name]], dtype=np.int64) for name in self._inputs}
        states: NDArray[np.float32] = self._session.run(None, fed)[0][0]
        return states

    def _require_states(self) -> None:
        strange = sorted(set(self._inputs) - set(INPUTS))
        outputs = self._session.get_outputs()
        if strange or len(outputs[0].shape) != 3:  # noqa: PLR2004 - [text, token, dimension]
            raise EmbedderError(
                f"The embedder's model has the inputs {', '.join(self._inputs)} and the output {outputs[0].name} with "
                f"the axes {outputs[0].shape}; expected are {', '.join(INPUTS)} and hidden states [text, token, "
                f"dimension], as the task feature-extraction exports them. {INSTALL}."
            )


def open_embedder(configured: "Settings") -> Embedder | None:
    """Return the embedder of these settings; None where none is installed.

    Raises
    ------
    EmbedderError
        If it is incomplete, altered, or cannot be loaded.
    """
    files = find_files(configured)
    return None if files is None else Embedder.of(read_files(files))
