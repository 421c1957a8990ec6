"""Define the plan of a study and store it with the study, so that every host that joins runs the same plan."""

from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage
from pydantic import Field, ValidationError

from agents.machine.provenance import revision, versions
from agents.settings.schema import Frozen, Settings
from token_env.errors import SettingError, unknown_name

PLAN = "plan"  # user attribute of a study
# Stages of a study. Every stage after the trials is an Optuna study of its own: NAME.again, NAME.final, NAME.check.
TRIALS, AGAIN, FINAL, CHECK = "trials", "again", "final", "check"
STAGES = (AGAIN, FINAL, CHECK)
TESTED_STAGES = (FINAL, CHECK)  # stages that play test problems
SEED_SETS = {TRIALS: 1000, AGAIN: 2000, FINAL: 3000, CHECK: 4000}  # first seed of each stage; the sets are disjoint
MAX_SEEDS = 1000  # seeds in a set


class Plan(Frozen):
    """Everything that determines the results of a study, except its number of trials."""

    format: Literal[1] = 1
    settings: Settings  # settings of the run to tune
    parameters: tuple[str, ...] = ()  # tuned parameters; empty for the whole search space
    seeds: int = Field(3, ge=1, le=100)  # trainings per trial
    finalists: int = Field(5, ge=1)  # best trials that are trained again on fresh seeds
    final_seeds: int = Field(5, ge=2, le=100)  # trainings per candidate in each stage after the trials
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = Field(0, ge=0)  # seed of the sampler
    versions: dict[str, str] = Field(default_factory=lambda: versions() | {"optuna": optuna.__version__})
    revision: str | None = Field(default_factory=revision)  # git revision of the code that created the study


def make_plan(**fields: Any) -> Plan:
    """Build a plan from these fields.

    Raises:
        SettingError: A value is not allowed.
    """
    try:
        return Plan(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + "-".join(map(str, first["loc"])).replace("_", "-")
        raise SettingError(f"{option} cannot be {first['input']!r}: {first['msg']}.") from None


def begin_study(storage: BaseStorage, name: str, plan: Plan) -> None:
    """Create a study with this plan, or join an existing one that has the same plan.

    Raises:
        SettingError: A study of this name has another plan, or was made with other library versions.
    """
    study = _make_study(storage, name)
    if PLAN not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(PLAN, plan.model_dump(mode="json"))
    stored = read_plan(storage, name)
    for key, old, new in _differences(_comparable_content(stored), _comparable_content(plan)):
        raise SettingError(
            f"the study {name!r} has {key}={old!r}, not {new!r}; type --study with another name, "
            "or repeat the command that started it."
        )


def check_versions(name: str, plan: Plan) -> None:
    """Check that this machine has the library versions that the study was made with.

    Raises:
        SettingError: A version differs.
    """
    installed = _comparable_content(Plan(settings=plan.settings))["versions"]
    for library, old, new in _differences(_comparable_content(plan)["versions"], installed):
        raise SettingError(
            f"the study {name!r} was made with {library} {old}, installed here: {new or 'none'}; install that version."
        )


def make_stage(storage: BaseStorage, name: str, stage: str) -> str:
    """Create the Optuna study of a stage unless it exists, and return its name."""
    return _make_study(storage, f"{name}.{stage}").study_name


def _make_study(storage: BaseStorage, name: str) -> optuna.Study:
    if name in {study.study_name for study in storage.get_all_studies()}:
        return optuna.load_study(storage=storage, study_name=name)  # create_study writes, even if it exists
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)


def read_plan(storage: BaseStorage, name: str) -> Plan:
    """Return the stored plan of a study.

    Raises:
        SettingError: Unknown study, a study made by another program, or a plan of another version.
    """
    attributes = {study.study_name: study.user_attrs for study in storage.get_all_studies()}
    if name not in attributes:
        raise unknown_name("study", name, [other for other, content in attributes.items() if PLAN in content])
    content = attributes[name].get(PLAN)
    if content is None:
        raise SettingError(f"the study {name!r} was not made by agents.tune; type --study with another name.")
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SettingError(
            f"the study {name!r} was made by another version of tokentask ({key}: {first['msg']})."
        ) from None


def _comparable_content(plan: Plan) -> dict[str, Any]:
    """Return the parts of a plan that commands must have in common to work on one study."""
    content = plan.model_dump(mode="json", exclude={"revision"})
    content["versions"]["python"] = ".".join(content["versions"]["python"].split(".")[:2])
    return content


def _differences(first: dict[str, Any], second: dict[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Return (dotted key, first value, second value) per difference, algorithm and size before their consequences."""
    differences: list[tuple[str, Any, Any]] = []
    for key in first.keys() | second.keys():
        old, new = first.get(key), second.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            differences += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            differences.append((prefix + key, old, new))
    causes = ("settings.algorithm", "settings.name")
    return sorted(differences, key=lambda difference: (difference[0] not in causes, difference[0]))


def seed_set(name: str, count: int) -> list[int]:
    """Return the first seeds of a stage's set.

    Args:
        name: Name of the stage: `trials`, `again`, `final` or `check`.
        count: Number of seeds, from 1 to 1000.

    Raises:
        SettingError: The count is out of range.
    """
    if not 1 <= count <= MAX_SEEDS:
        raise SettingError(f"the number of seeds is {count}; it must be from 1 to {MAX_SEEDS}.")
    return list(range(SEED_SETS[name], SEED_SETS[name] + count))
