"""Run an exported model with onnxruntime."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from token_env.errors import SettingError

THREADS = 1  # threads per model; a server answers many requests at once
MAX_BYTES = 1_000_000_000  # larger files are not read into memory


class Memory(NamedTuple):
    """LSTM state of N episodes; layers is 0 for models without a memory."""

    hidden: NDArray[np.float32]  # [N, layers, units]
    cell: NDArray[np.float32]  # [N, layers, units]


class Model:
    """An exported model, and what it says about itself.

    Args:
        content: Content of an ONNX file of `python -m agents.export`.
        source: Name of the file, for error messages.

    Raises:
        SettingError: The content is not such a model.
    """

    def __init__(self, content: bytes, source: str) -> None:
        self.checksum = hashlib.sha256(content).hexdigest()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.language, settings = metadata["tokentask.language"], json.loads(metadata["tokentask.settings"])
            self.keywords: dict[str, Any] = settings["env"]
            self.vocab_size = int(self.keywords["vocab_size"])
            inputs = {node.name: node for node in self._session.get_inputs()}
            self.columns = int(inputs["observation"].shape[1])
        except Exception as error:  # onnxruntime's errors have no common base class
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SettingError(f"{source!r} is not a model of python -m agents.export: {reason}") from error
        self.dtype = np.int64 if inputs["observation"].type == "tensor(int64)" else np.float32
        self.takes_masks = "action_masks" in inputs
        layers, _, units = inputs["hidden"].shape if "hidden" in inputs else (0, 0, 0)
        self.memory_shape = int(layers), int(units)

    @property
    def recurrent(self) -> bool:
        """Whether the model has a memory."""
        return self.memory_shape[0] > 0

    def initial_memory(self, rows: int) -> Memory:
        """Return the memory at the beginning of N episodes."""
        layers, units = self.memory_shape
        return Memory(*(np.zeros((rows, layers, units), np.float32) for _ in range(2)))

    def logits(
        self, observations: NDArray[Any], masks: NDArray[np.bool_] | None, memory: Memory
    ) -> tuple[NDArray[np.float32], Memory]:
        """Return the logits of the next token, [N, V], and the memory for the next call.

        Args:
            observations: Observations of N episodes, [N, D].
            masks: Legal tokens, [N, number of tokens in use]; None unless the model takes masks.
            memory: Memory from the last call, or `initial_memory` at the beginning of an episode.
        """
        inputs: dict[str, Any] = {"observation": observations}
        if self.takes_masks:
            legal = np.ones((len(observations), self.vocab_size), bool) if masks is None else masks
            inputs["action_masks"] = np.pad(legal, ((0, 0), (0, self.vocab_size - legal.shape[1])))
        if not self.recurrent:
            return self._session.run(["logits"], inputs)[0], memory
        for name, array in memory._asdict().items():
            inputs[name] = np.ascontiguousarray(array.swapaxes(0, 1))
        logits, *following = self._session.run(["logits", "next_hidden", "next_cell"], inputs)
        return logits, Memory(*(array.swapaxes(0, 1) for array in following))


def read_model(path: Path) -> Model:
    """Read a model from its file.

    Raises:
        SettingError: The file cannot be read, or is not a model.
    """
    try:
        if not path.is_file():
            raise SettingError(
                f"there is no file {str(path)!r}; type the ONNX file of python -m agents.export, or a run."
            )
        if path.stat().st_size > MAX_BYTES:
            raise SettingError(f"{str(path)!r} has more than {MAX_BYTES:,} bytes.")
        return Model(path.read_bytes(), str(path))
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}.") from error
