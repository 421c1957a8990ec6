"""Write the winner of a study as a preset, with comments on its provenance and its predicted score."""

from agents.algorithms.table import without_other_algorithms
from agents.evaluation.formats import bounds_text
from agents.evaluation.statistics import mean_interval
from agents.settings.yaml_text import dump, parse
from agents.tuning.outcome import MIN_SEEDS_FOR_PREDICTION, StudyOutcome
from agents.tuning.plan import AGAIN, FINAL, seed_set
from token_env.errors import SettingError

RUN_SETTINGS = ("seed", "device", "from_run")  # belong to a single run, so a preset leaves them out


def preset_text(name: str, outcome: StudyOutcome) -> str:
    """Return the winner's settings as YAML for `--config`, under comments on their provenance and score.

    Args:
        name: Name of the study; it becomes the name of the preset.
        outcome: Outcome of the study.

    Raises:
        SettingError: The text does not read back as the same settings.
    """
    settings = outcome.winner.settings.model_copy(update={"name": name})
    layer = without_other_algorithms(settings, settings.algorithm)
    text = dump({key: value for key, value in layer.items() if key not in RUN_SETTINGS})
    commented = "".join(f"# {line}\n" for line in provenance_lines(name, outcome)) + text
    if parse(commented) != parse(text):
        raise SettingError(f"the study {name!r} cannot be written as a preset.")
    return commented


def provenance_lines(name: str, outcome: StudyOutcome) -> list[str]:
    """Return sentences on the provenance of a preset and on its measured and predicted scores."""
    plan, winner = outcome.plan, outcome.winner
    settings, count = plan.settings, plan.final_seeds
    libraries = ", ".join(f"{library} {version}" for library, version in plan.versions.items())
    parameters = ", ".join(plan.parameters) or "the whole search space"
    seeds = {stage: _range_text(seed_set(stage, count)) for stage in (AGAIN, FINAL)}
    test_score = mean_interval(winner.test_scores).estimate
    check = f"check the prediction: python -m agents.tune check {name}."
    if outcome.prediction is None:
        promise = f"Fewer than {MIN_SEEDS_FOR_PREDICTION} final seeds predict no test score of new seeds."
        check = f"train it on new seeds: python -m agents.tune check {name}."
    else:
        bounds = bounds_text(outcome.prediction, ".4f")
        promise = f"The mean test score of {count} new seeds will lie in {bounds} in 95 % of the cases."
    return [
        f"{settings.algorithm} on {settings.name}, tuned by agents.tune: {winner.label} of the study {name!r}.",
        f"Study: {len(outcome.trials)} trials of {plan.seeds} seeds, sampler {plan.sampler}, pruner {plan.pruner}, "
        f"seed {plan.seed}; tuned: {parameters}.",
        f"Selected among {len(outcome.finalists)} trials trained again with seeds {seeds[AGAIN]}: "
        f"validation score {outcome.finalists[0].mean:.4f}.",
        f"On seeds {seeds[FINAL]}, which selected nothing: validation score {winner.mean:.4f}, "
        f"test score {test_score:.4f}.",
        promise,
        f"Made with {libraries}; revision {plan.revision or 'unknown'}.",
        f"Train it: python -m agents.train {settings.algorithm} --config FILE; {check}",
    ]


def _range_text(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"
