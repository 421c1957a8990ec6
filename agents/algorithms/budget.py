"""Check that the episodes of a run fill whole rollouts and minibatches, and suggest the nearest valid values."""

from agents.settings.schema import OnPolicySettings, Settings, group_size
from token_env.errors import SettingError


def with_defaults(settings: Settings) -> Settings:
    """Return the settings with the default hyper-parameters of SB3 or sb3-contrib, rounded to fit the budget."""
    length = settings.env.max_steps
    section: OnPolicySettings = type(settings.hyperparameters).model_validate({})
    per_env = nearest_divisor(settings.episodes // section.n_envs, max(round(section.n_steps / length), 1))
    changes = {"n_steps": per_env * length}
    if batch_size := getattr(section, "batch_size", None):
        changes["batch_size"] = nearest_divisor(per_env * length * section.n_envs, batch_size, least=2)
    return settings.model_copy(update={settings.section: section.model_copy(update=changes)})


def check_budget(settings: Settings) -> None:
    """Check that the run's episodes fill whole rollouts, and each rollout whole groups and minibatches.

    Raises:
        SettingError: A rollout cuts episodes, the environments are not whole groups, the episodes are not a whole
            number of rollouts, or the minibatch does not divide the rollout; the message suggests, for all of these at
            once, the nearest valid values.
    """
    section, name = settings.hyperparameters, settings.section
    length, n_steps, messages = settings.env.max_steps, section.n_steps, []
    if n_steps % length:
        n_steps = nearest_multiple(n_steps, length)
        messages.append(
            f"{name}.n_steps={section.n_steps} cuts episodes of {length} steps; type --set {name}.n_steps={n_steps}."
        )
    n_envs, group = section.n_envs, group_size(section)
    if n_envs % group:
        n_envs = nearest_multiple(n_envs, group)
        messages.append(
            f"{name}.n_envs={section.n_envs} is not a multiple of {name}.group_size={group}; "
            f"type --set {name}.n_envs={n_envs}."
        )
    per_env = n_steps // length  # episodes of each environment in a rollout
    if settings.episodes % (n_envs * per_env):
        alternative = ""
        if settings.episodes % (group * per_env) == 0:
            fit = group * nearest_divisor(settings.episodes // (group * per_env), n_envs // group)
            alternative = f", or --set {name}.n_envs={fit}"
        messages.append(
            f"{settings.episodes} episodes are not a whole number of rollouts of {n_envs * per_env} episodes "
            f"({name}.n_envs {n_envs} × {name}.n_steps {n_steps}); "
            f"type --episodes {nearest_multiple(settings.episodes, n_envs * per_env)}{alternative}."
        )
    steps, batch_size = n_envs * n_steps, getattr(section, "batch_size", 1)
    if steps == 1 < batch_size:
        messages.append(f"{name} needs rollouts of at least 2 steps; type --set {name}.n_envs=2.")
    elif steps % batch_size:
        fit = nearest_divisor(steps, batch_size, least=2)
        messages.append(
            f"{name}.batch_size={batch_size} does not divide a rollout of {steps} steps; "
            f"type --set {name}.batch_size={fit}."
        )
    if messages:
        raise SettingError(*messages)


def nearest_multiple(value: int, unit: int) -> int:
    """Return the positive multiple of `unit` that is nearest to `value`."""
    return max(unit, (value + unit // 2) // unit * unit)


def nearest_divisor(total: int, value: int, least: int = 1) -> int:
    """Return the divisor of `total` that is nearest to `value` and at least `least`; of two, the smaller one."""
    value = min(value, total)
    for distance in range(total):
        for candidate in (value - distance, value + distance):
            if least <= candidate <= total and total % candidate == 0:
                return candidate
    return total
