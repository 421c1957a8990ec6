"""State everything that a run depends on: typed, frozen settings, read from presets, files and `--set`.

Defaults of the algorithms are those of Stable-Baselines3 and sb3-contrib, so a file that says nothing trains as they
would.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from token_env.errors import find
from token_env.languages.language import MIN_VOCAB
from token_env.rules.task import Task


class Frozen(BaseModel):
    """Settings that cannot change and have no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PolicySettings(Frozen):
    """The networks: one multilayer perceptron for the policy, another of the same shape for the value."""

    hidden: tuple[int, ...] = Field((64, 64), max_length=16)  # units of each hidden layer
    activation: Literal["tanh", "relu"] = "tanh"
    embedding: int = Field(32, ge=1)  # length of the vectors that env.observation=tokens learns for each token
    # fast: policies/categorical.py computes the categorical, and Adam is fused; tied: policies/tied_head.py also
    # computes the logits, which start from the language's bigram probabilities whatever action_bias is
    head: Literal["stock", "fast", "tied"] = "stock"

    @field_validator("hidden")
    @classmethod
    def _positive(cls, hidden: tuple[int, ...]) -> tuple[int, ...]:
        if any(units < 1 for units in hidden):
            raise ValueError("every hidden layer needs at least 1 unit; type policy.hidden=[256,256], say")
        return hidden


class OnPolicySettings(Frozen):
    """What all algorithms share; names and defaults are those of the constructors in SB3 and sb3-contrib."""

    n_envs: int = Field(1, ge=1)  # episodes played side by side
    n_steps: int = Field(ge=1)  # steps of each of them in a rollout; a multiple of env.max_steps
    learning_rate: float = Field(gt=0)
    learning_rate_schedule: Literal["constant", "linear"] = "constant"  # linear: falls to 0 at the end
    gamma: float = Field(0.99, ge=0, le=1)
    gae_lambda: float = Field(ge=0, le=1)
    action_bias: Literal["zero", "log_unigram"] = "zero"  # what the policy prefers before it has learned anything


class PolicyGradientSettings(OnPolicySettings):
    """What those share that follow the gradient of one loss: of policy, entropy and value together."""

    ent_coef: float = Field(0.0, ge=0)
    vf_coef: float = Field(0.5, ge=0)
    max_grad_norm: float = Field(0.5, gt=0)


class PPOSettings(PolicyGradientSettings):
    """Proximal policy optimisation; with masks, too."""

    n_steps: int = Field(2048, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    gae_lambda: float = Field(0.95, ge=0, le=1)
    batch_size: int = Field(64, ge=2)  # steps of a minibatch; divides n_envs × n_steps
    n_epochs: int = Field(10, ge=1)
    clip_range: float = Field(0.2, gt=0)
    normalize_advantage: bool = True
    target_kl: float | None = Field(None, gt=0)


class RecurrentPPOSettings(PPOSettings):
    """PPO with an LSTM before the policy's networks, and another before the value's."""

    n_steps: int = Field(128, ge=1)
    batch_size: int = Field(128, ge=2)
    lstm_hidden_size: int = Field(256, ge=1)  # units of each


class A2CSettings(PolicyGradientSettings):
    """Advantage actor-critic."""

    n_steps: int = Field(5, ge=1)
    learning_rate: float = Field(7e-4, gt=0)
    gae_lambda: float = Field(1.0, ge=0, le=1)
    normalize_advantage: bool = False
    use_rms_prop: bool = True


class TRPOSettings(OnPolicySettings):
    """Trust region policy optimisation: the policy moves as far as target_kl lets it, the value by gradients."""

    n_steps: int = Field(2048, ge=1)
    learning_rate: float = Field(1e-3, gt=0)  # of the value
    gae_lambda: float = Field(0.95, ge=0, le=1)
    batch_size: int = Field(128, ge=2)  # steps of a minibatch of the value; divides n_envs × n_steps
    cg_max_steps: int = Field(15, ge=1)  # of the conjugate gradient
    cg_damping: float = Field(0.1, ge=0)
    line_search_shrinking_factor: float = Field(0.8, gt=0, lt=1)
    line_search_max_iter: int = Field(10, ge=1)
    n_critic_updates: int = Field(10, ge=1)  # passes over the rollout for the value
    normalize_advantage: bool = True
    target_kl: float = Field(0.01, gt=0)
    sub_sampling_factor: int = Field(1, ge=1)  # the policy's step is computed from one step in so many


class CurriculumSettings(Frozen):
    """How problems become harder during training (`training/curriculum.py`); evaluations have full difficulty."""

    enabled: bool = False
    noise: float = Field(0.0, ge=0)  # env.noise of the first level
    message_vocab: int | None = Field(None, ge=MIN_VOCAB)  # the same; None = a tenth of the task's
    levels: int = Field(5, ge=2)  # the last is the task itself
    threshold: float = Field(0.25, ge=0)  # mean return at which the level rises, as a share of α L
    window: int = Field(40, ge=1)  # episodes of that mean
    full_by: float = Field(0.5, ge=0, le=0.9)  # share of the episodes after which all have full difficulty


class CheckpointSettings(Frozen):
    """When training saves checkpoints (`training/saver.py`), and how it finds its best policy."""

    seconds: float = Field(60.0, ge=0)  # of work that a crash may cost; 0: that of one rollout
    episodes: int | None = Field(None, ge=1)  # save after so many, whatever the seconds
    keep: int = Field(2, ge=1)  # the last so many, beside the best
    validations: int = Field(10, ge=0)  # evaluations in the course of the run, at full difficulty
    problems: int = Field(50, ge=1)  # the first so many of the split validation, for each of them


class EvaluationSettings(Frozen):
    """The evaluation at the end of a run."""

    split: Literal["validation", "test"] = "test"
    problems: int = Field(200, ge=1)  # the first so many


class Settings(Frozen):
    """Everything that a run depends on."""

    name: str = Field("custom", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")  # a preset's name
    algorithm: str = "ppo"
    seed: int = Field(0, ge=0, lt=2**31)
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"  # of the products of linear layers; weights stay float32
    matmul: Literal["auto", "default", "onednn"] = "auto"  # which library multiplies float32 matrices on a cpu
    episodes: int = Field(2000, ge=1)
    from_run: str | None = Field(
        None, min_length=1
    )  # the run whose weights it starts from (agents/training/transfer.py)
    env: Task = Field(default_factory=Task)
    policy: PolicySettings = PolicySettings()
    ppo: PPOSettings = PPOSettings()
    a2c: A2CSettings = A2CSettings()
    trpo: TRPOSettings = TRPOSettings()
    maskable_ppo: PPOSettings = PPOSettings()
    recurrent_ppo: RecurrentPPOSettings = RecurrentPPOSettings()
    curriculum: CurriculumSettings = CurriculumSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("env")
    @classmethod
    def _named(cls, env: Task) -> Task:
        if not isinstance(env.language, str) or not isinstance(env.reward, str):
            raise ValueError("a run's language and reward are given by name, so that the run can be loaded again")
        return env

    @model_validator(mode="after")
    def _readable(self) -> "Settings":
        if self.policy.head == "tied" and self.env.observation != "features":
            raise ValueError(
                f"policy.head=tied reads the vectors that env.observation=features shows, not {self.env.observation}; "
                "type --set policy.head=fast, or leave env.observation out"
            )
        return self

    @model_validator(mode="after")
    def _held_out(self) -> "Settings":
        if self.env.split == self.evaluation.split:
            raise ValueError(
                f"env.split and evaluation.split are both {self.env.split!r}; a run is evaluated on problems "
                "that it was not trained on; type --set env.split=train"
            )
        return self

    @property
    def section(self) -> str:
        """Name of the section with the algorithm's hyper-parameters: `maskable_ppo` for `maskable-ppo`."""
        return section_name(self.algorithm)

    @property
    def hyperparameters(self) -> OnPolicySettings:
        """The section of the run's algorithm.

        Raises:
            SettingError: an unknown algorithm.
        """
        section: OnPolicySettings = getattr(self, self.section)
        return section

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries of plain values, as a settings file holds them."""
        return self.model_dump(mode="json")


def section_name(algorithm: str) -> str:
    """Name of the section with an algorithm's hyper-parameters.

    Raises:
        SettingError: an unknown algorithm.
    """
    fields = Settings.model_fields.items()
    sections = [name for name, field in fields if issubclass(type(field.default), OnPolicySettings)]
    return find("algorithm", algorithm, {name.replace("_", "-"): name for name in sections})
