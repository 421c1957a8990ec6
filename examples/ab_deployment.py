"""Deploy two exported models behind one function: model B answers a share of the requests, and each answer is logged.

Shows how to run ONNX models of `python -m agents.export` with action masks and recurrent memory, without torch and
Stable-Baselines3: onnxruntime and the environment are enough. The id of a request alone determines its model.

    python -m examples.ab_deployment A.onnx B.onnx --share-b 0.5 --requests 1000 --log decisions.jsonl
    python -m examples.ab_deployment A.onnx B.onnx --latency

Where the agents are installed, `python -m agents.evaluate --log decisions.jsonl` tests which model is better.
"""

import argparse
import fcntl
import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from token_env import SettingError, find_language
from token_env.files import drop_partial_line

THREADS = 1  # threads per model; a server answers many requests at once
ROWS = (1, 8, 64, 256)  # batch sizes that --latency measures
REPEATS = 50  # calls per model and batch size

Memory = dict[str, NDArray[np.float32]]  # LSTM state of a recurrent model: "hidden" and "cell"


class Model:
    """An exported model and the task that it was trained on.

    Args:
        path: ONNX file of `python -m agents.export`.

    Raises:
        SettingError: The file is not such a model.
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        self.checksum = hashlib.sha256(content).hexdigest()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.language, settings = metadata["tokentask.language"], json.loads(metadata["tokentask.settings"])
        except Exception as error:  # onnxruntime's errors have no common base class
            raise SettingError(f"{str(path)!r} is not a model of python -m agents.export: {error}") from error
        self.keywords: dict[str, Any] = settings["env"]
        self.vocab_size: int = self.keywords["vocab_size"]
        self._inputs = {node.name: node.shape for node in self._session.get_inputs()}
        self.columns = self._inputs["observation"][1]

    def logits(
        self, observations: NDArray[Any], masks: Callable[[], NDArray[np.bool_]], memory: Memory
    ) -> tuple[NDArray[np.float32], Memory]:
        """Return the logits of the next token, [N, V], and the memory for the next call.

        Args:
            observations: Observations of N episodes, [N, observation size].
            masks: Function that returns the legal tokens, [N, number of shared tokens].
            memory: Memory from the last call, arrays [layers, N, units]; {} at the beginning of an episode.
        """
        inputs: dict[str, Any] = {"observation": observations}
        if "action_masks" in self._inputs:
            legal = masks()
            inputs["action_masks"] = np.pad(legal, ((0, 0), (0, self.vocab_size - legal.shape[1])))
        for name in ("hidden", "cell"):
            if name in self._inputs:
                layers, _, units = self._inputs[name]
                inputs[name] = memory.get(name, np.zeros((layers, len(observations), units), np.float32))
        logits, _, *new_memory = self._session.run(None, inputs)
        return logits, dict(zip(("hidden", "cell"), new_memory, strict=False))


class Deployment:
    """Models A and B behind one function, `answer`. Both use the smaller vocabulary. Make one deployment per process.

    Args:
        a: ONNX file of model A.
        b: ONNX file of model B.
        share_b: Share of the requests that model B answers, from 0 to 1.
        log: File that receives a line per answer; several processes may share it.

    Raises:
        SettingError: The share is out of range, a file is not a model, or languages or observations differ.
        OSError: A file cannot be read.
    """

    def __init__(self, a: Path, b: Path, share_b: float, log: Path) -> None:
        if not 0 <= share_b <= 1:
            raise SettingError(f"share_b is {share_b:g}; it must be from 0 to 1.")
        self.models, self.share_b = {"A": Model(a), "B": Model(b)}, share_b
        small, large = sorted(self.models.values(), key=lambda model: model.vocab_size)
        large_language = find_language(large.keywords["language"], large.vocab_size, large.keywords["language_seed"])
        self.keywords = small.keywords | {"split": "test"}
        if ":" in self.keywords["reward"]:  # a function of the user who trained; returns need no rewards
            self.keywords["reward"] = "dense"
        self.env = gymnasium.make("TokenTask-v0", **self.keywords)
        shared_language = large_language.truncate(small.vocab_size)
        if (small.language, small.columns) != (shared_language.fingerprint, large.columns):
            raise SettingError("the models have different languages or different observations.")
        self.experiment = f"{self.models['A'].checksum}/{self.models['B'].checksum}"  # new models get a new split
        self.log = log

    def answer(self, request: str, problem: int) -> list[int]:
        """Answer a request with its model, log the answer, and return the tokens.

        Args:
            request: Id of the request.
            problem: Id of the problem to play.

        Raises:
            OSError: The log cannot be written.
        """
        start = time.perf_counter()
        variant = variant_of(request, self.share_b, self.experiment)
        tokens, total_return = self.play(self.models[variant], problem)
        decision = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request": request,
            "variant": variant,
            "share_b": self.share_b,
            "model": self.models[variant].checksum,
            "problem": problem,
            "tokens": tokens,
            "return": total_return,  # of the environment; a real deployment would log the user's feedback
            "latency_ms": round(1000 * (time.perf_counter() - start), 4),
        }
        self._append(json.dumps(decision, allow_nan=False).encode() + b"\n")
        return tokens

    def play(self, model: Model, problem: int) -> tuple[list[int], float]:
        """Play a problem with a model's most probable tokens, and return the tokens and the episode's return."""
        observation, _ = self.env.reset(options={"problem_id": problem})
        legal, vocab_size = self.env.get_wrapper_attr("action_masks"), self.keywords["vocab_size"]
        tokens: list[int] = []
        total_return, terminated, memory = 0.0, False, Memory()
        while not terminated:
            logits, memory = model.logits(observation[None], lambda: legal()[None], memory)
            tokens.append(int(logits[0, :vocab_size].argmax()))
            observation, _, terminated, _, info = self.env.step(tokens[-1])
            total_return += info["adequacy"] - info["fluency_penalty"]
        return tokens, total_return

    def _append(self, line: bytes) -> None:
        """Append a line under a lock, after removing an incomplete line that a crashed process has left."""
        with self.log.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            drop_partial_line(file)
            file.write(line)


def variant_of(request: str, share_b: float, experiment: str) -> str:
    """Return the variant that answers a request, "A" or "B": the same in every process, independent across experiments.

    Args:
        request: Id of the request.
        share_b: Share of the requests for variant B, from 0 to 1.
        experiment: Id of the experiment.
    """
    digest = hashlib.blake2b(f"{experiment}/{request}".encode(), digest_size=8).digest()
    return "B" if int.from_bytes(digest, "big") < share_b * 2**64 else "A"


def latencies(deployment: Deployment) -> dict[tuple[str, int], list[float]]:
    """Measure single calls in milliseconds, by model and batch size; the models alternate to share disturbances."""
    env = gymnasium.make_vec("TokenTask-v0", num_envs=max(ROWS), **deployment.keywords)
    observations, _ = env.reset(seed=0)
    masks = np.ones((max(ROWS), deployment.keywords["vocab_size"]), dtype=bool)
    milliseconds: dict[tuple[str, int], list[float]] = {}
    for rows in ROWS:
        for _ in range(REPEATS):
            for name, model in deployment.models.items():
                start = time.perf_counter()
                model.logits(observations[:rows], lambda rows=rows: masks[:rows], {})
                milliseconds.setdefault((name, rows), []).append(1000 * (time.perf_counter() - start))
    return milliseconds


def main(arguments: list[str] | None = None) -> None:
    """Answer requests on held-out problems, or print the latency of the models."""
    parser = argparse.ArgumentParser(prog="python -m examples.ab_deployment", description="Deploy two models, A and B.")
    parser.add_argument("a", type=Path, metavar="A.onnx")
    parser.add_argument("b", type=Path, metavar="B.onnx")
    parser.add_argument("--share-b", type=float, default=0.5, help="share of the requests for B (default: 0.5)")
    parser.add_argument("--requests", type=int, default=1000, help="number of requests to answer (default: 1000)")
    parser.add_argument("--log", type=Path, default=Path("decisions.jsonl"), help="file (default: decisions.jsonl)")
    parser.add_argument("--seed", type=int, help="seed of the requests (default: new requests every time)")
    parser.add_argument("--latency", action="store_true", help="print the milliseconds per call instead")
    options = parser.parse_args(arguments)
    if options.requests < 1 or (options.seed or 0) < 0:
        parser.error("--requests must be at least 1, and --seed at least 0.")
    try:
        deployment = Deployment(options.a, options.b, options.share_b, options.log)
        if options.latency:
            for (name, rows), milliseconds in latencies(deployment).items():
                median, least = np.median(milliseconds), min(milliseconds)
                print(f"{name}, rows {rows:3}: {median:.3f} ms a call, {median / rows:.4f} a token; least {least:.3f}")
            return
        generator = np.random.default_rng(options.seed)
        for _ in range(options.requests):
            deployment.answer(generator.bytes(8).hex(), int(generator.integers(2**40)))
    except (SettingError, OSError) as error:
        parser.error(str(error))
    print(f"{options.requests:,} answers in {options.log}; type python -m agents.evaluate --log {options.log}")


if __name__ == "__main__":
    main()
