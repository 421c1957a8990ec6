"""Check that a run plays its episodes in whole rollouts and minibatches, and name the nearest values that fit."""

from agents.settings.schema import OnPolicySettings, Settings
from token_env.errors import SettingError


def with_defaults(settings: Settings) -> Settings:
    """The same run with the hyper-parameters of SB3 and sb3-contrib, in rollouts and minibatches that come out even."""
    length = settings.env.max_steps
    section: OnPolicySettings = type(settings.hyperparameters).model_validate({})
    rounds = nearest_divisor(settings.episodes // section.n_envs, max(round(section.n_steps / length), 1))
    fitting = {"n_steps": rounds * length}
    if batch_size := getattr(section, "batch_size", None):
        fitting["batch_size"] = nearest_divisor(rounds * length * section.n_envs, batch_size, least=2)
    return settings.model_copy(update={settings.section: section.model_copy(update=fitting)})


def check_budget(settings: Settings) -> None:
    """Make sure that the run plays exactly its number of episodes, in whole rollouts and minibatches.

    Raises:
        SettingError: a rollout of broken episodes, a budget that is no whole number of rollouts, or a
            minibatch that does not divide the rollout; each with the nearest values that fit.
    """
    section, name = settings.hyperparameters, settings.section
    length = settings.env.max_steps
    if section.n_steps % length:
        raise SettingError(
            f"{name}.n_steps={section.n_steps} breaks episodes of {length} steps; "
            f"type --set {name}.n_steps={nearest_multiple(section.n_steps, length)}."
        )
    rounds = section.n_steps // length  # episodes that each environment plays in a rollout
    if settings.episodes % (section.n_envs * rounds):
        other = ""
        if settings.episodes % rounds == 0:
            fit = nearest_divisor(settings.episodes // rounds, section.n_envs)
            other = f", or --set {name}.n_envs={fit}"
        raise SettingError(
            f"{settings.episodes} episodes are no whole number of rollouts of {section.n_envs * rounds} episodes "
            f"(n_envs {section.n_envs} × n_steps {section.n_steps}); "
            f"type --episodes {nearest_multiple(settings.episodes, section.n_envs * rounds)}{other}."
        )
    steps, batch_size = section.n_envs * section.n_steps, getattr(section, "batch_size", 1)
    if steps % batch_size:
        if steps == 1:
            raise SettingError(f"{name} needs rollouts of at least 2 steps; type --set {name}.n_envs=2.")
        fit = nearest_divisor(steps, batch_size, least=2)
        raise SettingError(
            f"{name}.batch_size={batch_size} does not divide a rollout of {steps} steps; "
            f"type --set {name}.batch_size={fit}."
        )


def nearest_multiple(value: int, unit: int) -> int:
    """The multiple of `unit`, at least `unit`, nearest to `value`."""
    return max(unit, (value + unit // 2) // unit * unit)


def nearest_divisor(total: int, value: int, least: int = 1) -> int:
    """The divisor of `total`, at least `least` and at most `total`, nearest to `value`; the smaller of two."""
    value = min(value, total)
    for distance in range(total):
        for candidate in (value - distance, value + distance):
            if least <= candidate <= total and total % candidate == 0:
                return candidate
    return total
