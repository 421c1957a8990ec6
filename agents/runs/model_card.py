"""Write the model card of a run, `README.md`, with the front matter that model hubs read."""

from pathlib import Path
from typing import Any

import yaml

from agents.algorithms.table import find_algorithm
from agents.evaluation.formats import plus_minus_text
from agents.evaluation.scores import GREEDY, SAMPLED, Scores
from agents.runs import checksums, run_dir
from agents.runs.json_files import read_json, write_text
from agents.runs.summary import RunRecord, Summary, read_record
from agents.settings.schema import section_name
from token_env.episodes.references import REFERENCES
from token_env.rules.rewards import find_reward

LIBRARIES = {"sb3_contrib": "sb3-contrib", "stable_baselines3": "Stable-Baselines3"}  # key: package of the algorithm
CARD = """\
---
{front}---

# {algorithm} on TokenTask: {name}, seed {seed}

This policy paraphrases messages of {env[max_steps]} words in the {language} language of {env[vocab_size]:,} tokens. It
writes one token at a time and is rewarded for tokens that are close in meaning to the message and fluent after the
previous token. It was trained by reinforcement learning with {algorithm} from {library} on the environment
`TokenTask-v0` of tokentask.

## Use

```python
import agents

agent = agents.load("DIRECTORY")  # the directory of this card; loading executes no code from it
tokens, memory = agent.predict(observations{masks})
```

`python -m agents.evaluate DIRECTORY` compares the policy with reference policies, and
`python -m agents.export DIRECTORY --format onnx` converts it to ONNX.

## Results

{results}

## Training

{training}

`python -m agents.train {algorithm} --config config.yaml{reward}` repeats the training with the settings
in `config.yaml`:

| section | settings |
| --- | --- |
{settings}

## Limits

The policy was trained on one task in one language with one seed; another seed gives a different policy. It is not a
language model: it maximises the reward of the environment, and its text need not make sense to a reader.

## Files

| file | SHA-256 |
| --- | --- |
{files}
"""


def write_card(run: Path, summary: Summary | None) -> None:
    """Write the model card of a run whose model is saved.

    Args:
        run: Directory of the run.
        summary: Content of its `summary.json`; None for an imported model.

    Raises:
        SettingError: The run has no model.
    """
    write_text(run / run_dir.CARD, card_text(run, summary))


def card_text(run: Path, summary: Summary | None) -> str:
    """Return the text of the model card; for arguments and errors see `write_card`."""
    settings = read_json(run / run_dir.MODEL)["settings"]
    algorithm, env = settings["algorithm"], settings["env"]
    row = find_algorithm(algorithm)
    sections = {name: settings[name] for name in ("env", "policy", section_name(algorithm))}
    settings_rows = "\n".join(f"| {name} | {_inline(section)} |" for name, section in sections.items())
    digests = checksums.read_sums(run / run_dir.CHECKSUMS)
    return CARD.format(
        front=yaml.safe_dump(front_matter(settings, summary), sort_keys=False, allow_unicode=True),
        algorithm=algorithm,
        name=settings["name"],
        seed=settings["seed"],
        env=env,
        language=language_name(env),
        reward=f" --reward {env['reward']}" if find_reward(env["reward"]).is_users else "",
        library=LIBRARIES.get(row.learner.__module__.partition(".")[0], "tokentask"),
        masks=", action_masks=masks" if row.uses_mask else ", state=memory" if row.recurrent else "",
        results=_results(settings, summary),
        training=_training(settings, read_record(run), summary) if summary else "No record of the training exists.",
        settings=settings_rows,
        files="\n".join(f"| `{name}` | `{digest}` |" for name, digest in digests.items()),
    )


def front_matter(settings: dict[str, Any], summary: Summary | None) -> dict[str, Any]:
    """Return the metadata that model hubs read: library, tags, and the results on held-out problems, if any."""
    env, name = settings["env"], f"{settings['algorithm']}-{settings['name']}"
    tags = ["reinforcement-learning", "deep-reinforcement-learning", "stable-baselines3", "tokentask"]
    front: dict[str, Any] = {
        "library_name": "stable-baselines3",
        "tags": [*tags, "TokenTask-v0", settings["algorithm"]],
    }
    greedy = summary.evaluation.get(GREEDY) if summary else None
    if greedy is None:
        return front
    dataset = f"TokenTask-v0, {env['vocab_size']} tokens, {env['max_steps']} steps, {language_name(env)} language"
    width = greedy.half_width
    reward = f"{greedy.mean_return:.3f}" + ("" if width is None else f" +/- {width:.3f}")
    metrics = [
        {"type": "mean_reward", "value": reward, "name": "mean return, 95 % interval over problems", "verified": False}
    ]
    if greedy.score is not None:
        score = f"{greedy.score:.3f}"
        metrics.append({"type": "score", "value": score, "name": "return / optimum", "verified": False})
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"name": dataset, "type": "TokenTask-v0"},
        "metrics": metrics,
    }
    return front | {"model-index": [{"name": name, "results": [result]}]}


def language_name(env: dict[str, Any]) -> str:
    """Return the name of the language, without the path of a text file."""
    return str(env["language"]).partition(":")[0]


def _results(settings: dict[str, Any], summary: Summary | None) -> str:
    scores = summary.evaluation if summary else {}
    if not scores:
        return "The policy was not evaluated."
    split, (first, *_) = settings["evaluation"]["split"], scores.values()
    lines = [
        f"Mean over {first.problems} {split} problems that were not used in training; ± is half the width of the 95 % "
        "interval over problems.",
        "",
        "| policy | return | score | distinct tokens |",
        "| --- | ---: | ---: | ---: |",
    ]
    order = [name for name in (GREEDY, SAMPLED, *REFERENCES) if name in scores]
    return "\n".join([*lines, *(_result_row(name, scores[name]) for name in order)])


def _result_row(name: str, row: Scores) -> str:
    mean_return, score = plus_minus_text(row.mean_return, row.half_width), plus_minus_text(row.score, None, ".3f")
    return f"| {name} | {mean_return} | {score} | {row.distinct_tokens} |"


def _training(settings: dict[str, Any], record: RunRecord, summary: Summary) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    ended = "" if summary.status == "finished" else f", {summary.status}"
    from_run = " Training started from the weights of another run." if settings["from_run"] else ""
    return (
        f"{summary.episodes:,} episodes ({summary.steps:,} steps) in {summary.training_seconds:,.0f} s on "
        f"{summary.device} ({record.machine.processor}){ended}.{from_run} Versions: {versions}; "
        f"code revision: {record.revision or 'unknown'}."
    )


def _inline(section: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in section.items() if name != "language")
