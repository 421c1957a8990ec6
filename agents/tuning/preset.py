"""Write what a study found as a preset, with where it comes from and what it promises."""

import configs
from agents.algorithms.table import without_others
from agents.evaluation.statistics import Interval, mean_interval
from agents.tuning.outcome import StudyOutcome
from agents.tuning.plan import AGAIN, FINAL, seed_set
from token_env.errors import SettingError

PASSING = ("seed", "device", "from_run")  # of a training, not of a preset


def preset_text(name: str, outcome: StudyOutcome) -> str:
    """The winner's settings as YAML, usable as --config; comments tell how they were found and what they reach.

    Args:
        name: of the study, which becomes the preset's.
        outcome: of the study.

    Raises:
        SettingError: what would be written does not read back as the same settings.
    """
    settings = outcome.winner.settings.model_copy(update={"name": name})
    layer = without_others(settings, settings.algorithm)
    text = configs.dump({key: value for key, value in layer.items() if key not in PASSING})
    commented = "".join(f"# {line}\n" for line in provenance_lines(name, outcome)) + text
    if configs.parse(commented) != configs.parse(text):
        raise SettingError(f"the study {name!r} cannot be written as a preset.")
    return commented


def provenance_lines(name: str, outcome: StudyOutcome) -> list[str]:
    """How a preset was found and what it promises, in sentences."""
    plan, winner, promise = outcome.plan, outcome.winner, outcome.promise
    settings, count = plan.settings, plan.final_seeds
    made = ", ".join(f"{library} {version}" for library, version in plan.versions.items())
    changed = ", ".join(plan.parameters) or "the whole search space"
    sets = {stage: seed_set(stage, count) for stage in (AGAIN, FINAL)}
    tests = mean_interval(winner.test_scores)
    return [
        f"{settings.algorithm} on {settings.name}, tuned by agents.tune: {winner.label} of the study {name!r}.",
        f"Study: {len(outcome.trials)} trials of {plan.seeds} seeds, sampler {plan.sampler}, pruner {plan.pruner}, "
        f"seed {plan.seed}; changed: {changed}.",
        f"Chosen among {len(outcome.finalists)} trials trained again with seeds {_span(sets[AGAIN])}: "
        f"validation score {outcome.finalists[0].mean:.4f}.",
        f"On seeds {_span(sets[FINAL])}, which selected nothing: validation score {winner.mean:.4f}, "
        f"test score {tests.estimate:.4f}.",
        f"The mean test score of {count} new seeds will lie in {interval_words(promise)} in 95 % of the cases.",
        f"Made with {made}; revision {plan.revision or 'unknown'}.",
        f"Train it: python -m agents.train {settings.algorithm} --config FILE; "
        f"hold it to its promise: python -m agents.tune check {name}.",
    ]


def interval_words(interval: Interval) -> str:
    """Bounds, as the documents write them."""
    return f"[{interval.low:.4f}, {interval.high:.4f}]".replace("-", "−")


def _span(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"
