"""State what a study tunes and how, and keep it with the study: whoever joins runs the same."""

from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage
from pydantic import Field, ValidationError

from agents.machine.provenance import revision, versions
from agents.settings.schema import Frozen, Settings
from token_env.errors import SettingError, unknown_name

PLAN = "plan"  # attribute of a study
# The stages of a study. All but the trials are studies of their own beside it, called NAME.again, NAME.final, …
TRIALS, AGAIN, FINAL, CHECK = "trials", "again", "final", "check"
STAGES = (AGAIN, FINAL, CHECK)
TESTED_STAGES = (FINAL, CHECK)  # which play test problems
SEED_SETS = {TRIALS: 1000, AGAIN: 2000, FINAL: 3000, CHECK: 4000}  # the first seed of each stage; no set overlaps
MOST_SEEDS = 1000  # in a set


class Plan(Frozen):
    """Everything that the results of a study depend on, but for how many trials it has."""

    format: Literal[1] = 1
    settings: Settings  # of the run that is tuned
    parameters: tuple[str, ...] = ()  # that are changed; none: all of the search space
    seeds: int = Field(3, ge=1, le=100)  # of a trial
    finalists: int = Field(5, ge=1)  # trials that are trained again on fresh seeds
    final_seeds: int = Field(5, ge=2, le=100)  # of each of them; and of the winner on seeds that selected nothing
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = Field(0, ge=0)  # of the sampler
    versions: dict[str, str] = Field(default_factory=lambda: versions() | {"optuna": optuna.__version__})
    revision: str | None = Field(default_factory=revision)  # of the code that began it


def make_plan(**fields: Any) -> Plan:
    """A plan of these fields.

    Raises:
        SettingError: a value that is not allowed.
    """
    try:
        return Plan(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = "--" + "-".join(map(str, first["loc"])).replace("_", "-")
        raise SettingError(f"{place} cannot be {first['input']!r}: {first['msg']}.") from None


def begin_study(storage: BaseStorage, name: str, plan: Plan) -> None:
    """Make a study, or join the one that is there.

    Raises:
        SettingError: a study of this name that tunes something else, or was made with other versions.
    """
    study = _make_study(storage, name)
    if PLAN not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(PLAN, plan.model_dump(mode="json"))
    theirs = read_plan(storage, name)
    for place, was, now in _differences(_compared(theirs), _compared(plan)):
        raise SettingError(
            f"the study {name!r} has {place}={was!r}, not {now!r}; type --study with another name, "
            "or the command that began it."
        )


def check_versions(name: str, plan: Plan) -> None:
    """Make sure that what is trained now is trained with the versions that the study was made with.

    Raises:
        SettingError: with others.
    """
    here = _compared(Plan(settings=plan.settings))["versions"]
    for library, was, now in _differences(_compared(plan)["versions"], here):
        raise SettingError(f"the study {name!r} was made with {library} {was}, here is {now}; install that version.")


def make_stage(storage: BaseStorage, name: str, stage: str) -> str:
    """Make sure that a study has the study of this stage beside it; its name."""
    return _make_study(storage, f"{name}.{stage}").study_name


def _make_study(storage: BaseStorage, name: str) -> optuna.Study:
    if name in {study.study_name for study in storage.get_all_studies()}:
        return optuna.load_study(storage=storage, study_name=name)  # to create one writes, even where it is refused
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)


def read_plan(storage: BaseStorage, name: str) -> Plan:
    """What a study tunes.

    Raises:
        SettingError: there is no such study, or it is not of `agents.tune`.
    """
    known = {study.study_name: study for study in storage.get_all_studies()}
    if name not in known:
        raise unknown_name("study", name, [one for one, study in known.items() if PLAN in study.user_attrs])
    told = known[name].user_attrs.get(PLAN)
    if told is None:
        raise SettingError(f"{name!r} is a study of something else than agents.tune; type --study with another name.")
    try:
        return Plan.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingError(
            f"the study {name!r} was made by another version of tokentask ({place}: {first['msg']})."
        ) from None


def _compared(plan: Plan) -> dict[str, Any]:
    """What two commands must have in common to work on one study."""
    content = plan.model_dump(mode="json", exclude={"revision"})
    content["versions"]["python"] = ".".join(content["versions"]["python"].split(".")[:2])
    return content


def _differences(one: dict[str, Any], other: dict[str, Any], place: str = "") -> list[tuple[str, Any, Any]]:
    """Where nested dictionaries of the same keys differ, most telling first: sizes before what follows from them."""
    found: list[tuple[str, Any, Any]] = []
    for key in one.keys() | other.keys():
        was, now = one.get(key), other.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found += _differences(was, now, f"{place}{key}.")
        elif was != now:
            found.append((place + key, was, now))
    first = ("settings.algorithm", "settings.name")
    return sorted(found, key=lambda difference: (difference[0] not in first, difference[0]))


def seed_set(name: str, count: int) -> list[int]:
    """The first seeds of a set.

    Raises:
        SettingError: none, or more than there are.
    """
    if not 1 <= count <= MOST_SEEDS:
        raise SettingError(f"{count} seeds were asked for; there are 1 to {MOST_SEEDS}.")
    return list(range(SEED_SETS[name], SEED_SETS[name] + count))
