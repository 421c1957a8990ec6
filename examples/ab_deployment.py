"""Deploy two exported models behind one function: B answers a share of the requests, and every answer is logged.

Shows ONNX models of `python -m agents.export` with their masks and memory, where neither torch nor Stable-Baselines3
is installed: onnxruntime and the environment are enough. Which model answers follows from the request's id alone.

    python -m examples.ab_deployment A.onnx B.onnx --share-b 0.5 --requests 1000 --log decisions.jsonl
    python -m examples.ab_deployment A.onnx B.onnx --latency

Where the agents are installed, `python -m agents.evaluate --log decisions.jsonl` says which model is better.
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
from token_env.files import cut_torn_line

THREADS = 1  # of a model; a server answers many requests at once
ROWS = (1, 8, 64, 256)  # answered in one call, for --latency
REPEATS = 50

Memory = dict[str, NDArray[np.float32]]  # of a recurrent model: "hidden" and "cell"


class Model:
    """An exported model, with the task that it was trained on.

    Raises:
        SettingError: a file that is none.
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
        except Exception as error:  # onnxruntime's have no class in common
            raise SettingError(f"{str(path)!r} is no model of python -m agents.export: {error}") from error
        self.keywords: dict[str, Any] = settings["env"]
        self.vocab_size: int = self.keywords["vocab_size"]
        self._inputs = {given.name: given.shape for given in self._session.get_inputs()}
        self.columns = self._inputs["observation"][1]

    def logits(
        self, observations: NDArray[Any], masks: Callable[[], NDArray[np.bool_]], memory: Memory
    ) -> tuple[NDArray[np.float32], Memory]:
        """Log-probabilities up to a constant, [N, V], and what to remember, which is {} where episodes begin."""
        given: dict[str, Any] = {"observation": observations}
        if "action_masks" in self._inputs:
            legal = masks()  # of the tokens that are shared
            given["action_masks"] = np.pad(legal, ((0, 0), (0, self.vocab_size - legal.shape[1])))
        for name in ("hidden", "cell"):
            if name in self._inputs:
                layers, _, units = self._inputs[name]
                given[name] = memory.get(name, np.zeros((layers, len(observations), units), np.float32))
        logits, _, *remembered = self._session.run(None, given)
        return logits, dict(zip(("hidden", "cell"), remembered, strict=False))


class Deployment:
    """Model A and model B behind `answer`. Both say the tokens that the smaller knows; one for each process.

    Args:
        a: file of model A.
        b: file of model B.
        share_b: of the requests, from 0 to 1.
        log: gets a line an answer; several processes may write into one.

    Raises:
        SettingError: a share out of its range, no models, or such of different languages or observations.
    """

    def __init__(self, a: Path, b: Path, share_b: float, log: Path) -> None:
        if not 0 <= share_b <= 1:
            raise SettingError(f"share_b is {share_b:g}; it must be from 0 to 1.")
        self.models, self.share_b = {"A": Model(a), "B": Model(b)}, share_b
        small, large = sorted(self.models.values(), key=lambda model: model.vocab_size)
        of_large = find_language(large.keywords["language"], large.vocab_size, large.keywords["language_seed"])
        self.keywords = small.keywords | {"split": "test"}
        self.env = gymnasium.make("TokenTask-v0", **self.keywords)
        shared = of_large.truncate(small.vocab_size)
        if (small.language, small.columns) != (shared.fingerprint, large.columns):
            raise SettingError("the models speak different languages, or see different observations.")
        self.experiment = f"{self.models['A'].checksum}/{self.models['B'].checksum}"  # other models, another split
        self.log = log

    def answer(self, request: str, problem: int) -> list[int]:
        """The tokens that say this problem's message, by the model whose share the request is in."""
        started = time.perf_counter()
        variant = variant_of(request, self.share_b, self.experiment)
        tokens, earned = self.say(self.models[variant], problem)
        decision = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request": request,
            "variant": variant,
            "share_b": self.share_b,
            "model": self.models[variant].checksum,
            "problem": problem,
            "tokens": tokens,
            "return": earned,  # the environment's; elsewhere what a user's reaction is worth
            "latency_ms": round(1000 * (time.perf_counter() - started), 4),
        }
        self._append(json.dumps(decision, allow_nan=False).encode() + b"\n")
        return tokens

    def say(self, model: Model, problem: int) -> tuple[list[int], float]:
        """What a model says for this problem, and what it earns."""
        observation, _ = self.env.reset(options={"problem_id": problem})
        legal, shared = self.env.get_wrapper_attr("action_masks"), self.keywords["vocab_size"]
        tokens: list[int] = []
        earned, over, memory = 0.0, False, Memory()
        while not over:
            logits, memory = model.logits(observation[None], lambda: legal()[None], memory)
            tokens.append(int(logits[0, :shared].argmax()))
            observation, _, over, _, info = self.env.step(tokens[-1])
            earned += info["adequacy"] - info["fluency_penalty"]
        return tokens, earned

    def _append(self, line: bytes) -> None:
        """Add a whole line behind whole lines, also where a process has died while it wrote one."""
        with self.log.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            cut_torn_line(file)
            file.write(line)


def variant_of(request: str, share_b: float, experiment: str) -> str:
    """Who answers a request, "A" or "B": the same in every process, and independent of other experiments."""
    digest = hashlib.blake2b(f"{experiment}/{request}".encode(), digest_size=8).digest()
    return "B" if int.from_bytes(digest, "big") < share_b * 2**64 else "A"


def latencies(deployment: Deployment) -> dict[tuple[str, int], list[float]]:
    """Milliseconds of single calls, by model and number of rows; the models take turns, so that both meet the same."""
    env = gymnasium.make_vec("TokenTask-v0", num_envs=max(ROWS), **deployment.keywords)
    observations, _ = env.reset(seed=0)
    masks = np.ones((max(ROWS), deployment.keywords["vocab_size"]), dtype=bool)
    taken: dict[tuple[str, int], list[float]] = {}
    for rows in ROWS:
        for _ in range(REPEATS):
            for name, model in deployment.models.items():
                started = time.perf_counter()
                model.logits(observations[:rows], lambda rows=rows: masks[:rows], {})
                taken.setdefault((name, rows), []).append(1000 * (time.perf_counter() - started))
    return taken


def main(arguments: list[str] | None = None) -> None:
    """Answer requests of problems that nobody has seen, or tell how long the models take."""
    parser = argparse.ArgumentParser(prog="python -m examples.ab_deployment", description="Two models, one function.")
    parser.add_argument("a", type=Path, metavar="A.onnx")
    parser.add_argument("b", type=Path, metavar="B.onnx")
    parser.add_argument("--share-b", type=float, default=0.5, help="of the requests (default: 0.5)")
    parser.add_argument("--requests", type=int, default=1000, help="to answer (default: 1000)")
    parser.add_argument("--log", type=Path, default=Path("decisions.jsonl"), help="(default: decisions.jsonl)")
    parser.add_argument("--seed", type=int, help="of the requests; without one they are new every time")
    parser.add_argument("--latency", action="store_true", help="tell the milliseconds of a call instead")
    options = parser.parse_args(arguments)
    if options.requests < 1 or (options.seed or 0) < 0:
        parser.error("--requests is at least 1, and --seed at least 0.")
    try:
        deployment = Deployment(options.a, options.b, options.share_b, options.log)
        if options.latency:
            for (name, rows), taken in latencies(deployment).items():
                median, least = np.median(taken), min(taken)
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
