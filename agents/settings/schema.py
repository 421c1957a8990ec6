"""Define the settings of a run as typed, immutable models.

Defaults of the algorithms are those of Stable-Baselines3 and sb3-contrib, so an empty settings file trains with their
hyper-parameters.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from token_env.errors import SettingError, check_all, find
from token_env.languages.language import MIN_VOCAB
from token_env.rules.task import Task, make_task

TIED_HEADS = ("tied", "planning")  # heads whose logits start at the language's


class Frozen(BaseModel):
    """Base class of immutable records; rejects unknown keys, infinities and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Strict(Frozen):
    """Base class of settings; also rejects values of another type: neither `true` nor "010" is an integer."""

    model_config = ConfigDict(strict=True)


class PolicySettings(Strict):
    """Networks of the agent: two multilayer perceptrons of equal shape, one for the policy and one for the value."""

    hidden: tuple[int, ...] = Field((64, 64), max_length=16, strict=False)  # number of units of each hidden layer
    activation: Literal["tanh", "relu"] = "tanh"  # after each hidden layer
    embedding: int = Field(32, ge=1)  # length of a token's learned vectors; used with env.observation=tokens
    # stock: SB3's classes. fast: policies/categorical.py computes the categorical, and Adam is fused. tied: as fast,
    # but policies/tied_head.py computes the logits; they start at the language's bigram log-probabilities, action_bias
    # is ignored, and `hidden` describes the value network alone. planning: as tied, and looks ahead.
    head: Literal["stock", "fast", "tied", "planning"] = "stock"
    depth: int = Field(1, ge=1)  # with policy.head=planning: steps that the policy plans ahead, up to env.lookahead
    shortlist: int = Field(32, ge=2)  # with policy.head=planning: number of tokens among which it plans
    successors: int = Field(32, ge=1)  # with policy.head=planning: number of successors of each token that it considers
    # Optimizer of torch. auto: as in SB3, RMSprop with a2c and Adam with all others. sgd is without momentum.
    optimizer: Literal["auto", "adam", "rmsprop", "sgd"] = "auto"

    @field_validator("hidden")
    @classmethod
    def _positive(cls, hidden: tuple[int, ...]) -> tuple[int, ...]:
        if any(units < 1 for units in hidden):
            raise ValueError(
                "every hidden layer needs at least 1 unit; type --set policy.hidden=[256,256], for example"
            )
        return hidden


class OnPolicySettings(Strict):
    """Hyper-parameters of every algorithm. Names and defaults are those of SB3's and sb3-contrib's constructors."""

    n_envs: int = Field(1, ge=1)  # environments that run in parallel
    n_steps: int = Field(ge=1)  # steps of each environment in a rollout; a multiple of env.max_steps
    learning_rate: float = Field(gt=0)  # step size of the optimizer
    learning_rate_schedule: Literal["constant", "linear"] = "constant"  # linear: decreases to 0 at the end of training
    gamma: float = Field(0.99, ge=0, le=1)  # discount of rewards per step
    action_bias: Literal["zero", "log_unigram"] = "zero"  # initial bias of the logits


class PolicyGradientSettings(OnPolicySettings):
    """Hyper-parameters of algorithms that minimise one loss: policy and entropy terms, and a value term if any."""

    ent_coef: float = Field(0.0, ge=0)  # weight of the entropy term
    max_grad_norm: float = Field(0.5, gt=0)  # longest gradient; longer ones are scaled to it


class ClippedSettings(PolicyGradientSettings):
    """Hyper-parameters of algorithms with PPO's clipped loss."""

    n_steps: int = Field(2048, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    batch_size: int = Field(64, ge=2)  # steps in a minibatch; divides n_envs × n_steps
    n_epochs: int = Field(10, ge=1)  # passes over each rollout
    clip_range: float = Field(0.2, gt=0)  # the ratio of probabilities is clipped to 1 ± this
    target_kl: float | None = Field(None, gt=0)  # an update ends early when its divergence exceeds 1.5 times this


class PPOSettings(ClippedSettings):
    """Hyper-parameters of PPO and MaskablePPO."""

    gae_lambda: float = Field(0.95, ge=0, le=1)  # λ of generalised advantage estimation
    vf_coef: float = Field(0.5, ge=0)  # weight of the value term
    normalize_advantage: bool = True  # scale advantages of each minibatch to mean 0 and standard deviation 1


class RecurrentPPOSettings(PPOSettings):
    """Hyper-parameters of RecurrentPPO: PPO with an LSTM before the policy network and one before the value network."""

    n_steps: int = Field(128, ge=1)
    batch_size: int = Field(128, ge=2)  # steps in a minibatch; divides n_envs × n_steps
    lstm_hidden_size: int = Field(256, ge=1)  # units of each LSTM


class GRPOSettings(ClippedSettings):
    """Hyper-parameters of GRPO: PPO without a value function, with advantages relative to groups of environments."""

    n_envs: int = Field(8, ge=2)  # a multiple of group_size
    group_size: int = Field(8, ge=2)  # consecutive environments that play the same problems
    baseline: Literal["mean", "leave_one_out"] = "mean"  # over the returns of the group, or of the others in it (RLOO)
    # The standard deviation that divides advantages. `minibatch` is PPO's normalize_advantage.
    scale_advantage: Literal["minibatch", "group", "none"] = "minibatch"


class A2CSettings(PolicyGradientSettings):
    """Hyper-parameters of A2C (advantage actor-critic)."""

    n_steps: int = Field(5, ge=1)
    learning_rate: float = Field(7e-4, gt=0)
    gae_lambda: float = Field(1.0, ge=0, le=1)  # λ of generalised advantage estimation; 1: no bootstrapping
    vf_coef: float = Field(0.5, ge=0)  # weight of the value term
    normalize_advantage: bool = False  # scale advantages of each rollout to mean 0 and standard deviation 1

    @model_validator(mode="before")
    @classmethod
    def _without_use_rms_prop(cls, section: Any) -> Any:
        """Drop `use_rms_prop: true` from settings older than `policy.optimizer`: RMSprop is the default of both."""
        if not isinstance(section, dict) or "use_rms_prop" not in section:
            return section
        if section["use_rms_prop"] is not True:
            raise SettingError("use_rms_prop is now policy.optimizer; omit it and type --set policy.optimizer=adam.")
        return {name: value for name, value in section.items() if name != "use_rms_prop"}


class TRPOSettings(OnPolicySettings):
    """Hyper-parameters of TRPO: target_kl limits each policy update; gradient descent fits the value function."""

    n_steps: int = Field(2048, ge=1)
    learning_rate: float = Field(1e-3, gt=0)  # for the value function
    gae_lambda: float = Field(0.95, ge=0, le=1)  # λ of generalised advantage estimation
    batch_size: int = Field(128, ge=2)  # steps in a minibatch of the value function; divides n_envs × n_steps
    cg_max_steps: int = Field(15, ge=1)  # iterations of the conjugate gradient method
    cg_damping: float = Field(0.1, ge=0)  # added to the diagonal of the divergence's Hessian
    line_search_shrinking_factor: float = Field(0.8, gt=0, lt=1)  # factor of the step at each try
    line_search_max_iter: int = Field(10, ge=1)  # most tries of the line search
    n_critic_updates: int = Field(10, ge=1)  # epochs of the value function on a rollout
    normalize_advantage: bool = True  # scale advantages of each rollout to mean 0 and standard deviation 1
    target_kl: float = Field(0.01, gt=0)  # largest divergence of the policy in one update
    sub_sampling_factor: int = Field(1, ge=1)  # the policy update uses every n-th step of the rollout


class CurriculumSettings(Strict):
    """Curriculum settings (`training/curriculum.py`). Evaluations always run at full difficulty."""

    enabled: bool = False  # whether to begin with easier problems; --curriculum sets it
    noise: float = Field(0.0, ge=0)  # env.noise at first
    message_vocab: int | None = Field(None, ge=MIN_VOCAB)  # env.message_vocab at first; None: a tenth of the task's
    levels: int = Field(5, ge=2)  # number of levels; the last level is the task itself
    threshold: float = Field(0.25, ge=0)  # mean return that raises the level, as a share of α L
    window: int = Field(40, ge=1)  # episodes over which the mean return is computed
    full_by: float = Field(0.5, ge=0, le=0.9)  # share of the episodes after which difficulty is full in any case


class CheckpointSettings(Strict):
    """Checkpoint settings (`training/saver.py`), and validations that select the best policy."""

    seconds: float = Field(60.0, ge=0)  # longest training time that a crash may lose; 0: save after every rollout
    episodes: int | None = Field(None, ge=1)  # also save after every this many episodes
    keep: int = Field(2, ge=1)  # number of latest checkpoints to keep, besides the best policy
    validations: int = Field(10, ge=0)  # number of validations during training, at full difficulty
    problems: int = Field(50, ge=1)  # problems per validation: the first ones of the validation split


class EvaluationSettings(Strict):
    """Settings of the evaluation at the end of a run."""

    split: Literal["validation", "test"] = "test"  # split whose problems are played
    problems: int = Field(200, ge=1)  # number of problems: the first ones of the split


class Settings(Strict):
    """All settings of a run."""

    name: str = Field("custom", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")  # name of the preset
    algorithm: str = "ppo"  # which of the algorithms trains; its section below has the hyper-parameters
    seed: int = Field(0, ge=0, lt=2**31)  # seed of all random numbers in the run
    device: str = "auto"  # mps, cuda, cpu or auto, the first of these that works
    precision: Literal["float32", "bf16"] = "float32"  # precision of products in linear layers; weights stay float32
    matmul: Literal["auto", "default", "onednn"] = "auto"  # library for float32 matrix products on a cpu
    compile: bool = False  # whether torch.compile compiles what minibatches evaluate (policies/compiled.py)
    episodes: int = Field(2000, ge=1)  # exact number of training episodes
    from_run: str | None = Field(None, min_length=1)  # run whose weights training starts from (training/transfer.py)
    env: Task = Field(default_factory=Task)
    policy: PolicySettings = PolicySettings()
    ppo: PPOSettings = PPOSettings()
    a2c: A2CSettings = A2CSettings()
    trpo: TRPOSettings = TRPOSettings()
    grpo: GRPOSettings = GRPOSettings()
    maskable_ppo: PPOSettings = PPOSettings()
    recurrent_ppo: RecurrentPPOSettings = RecurrentPPOSettings()
    curriculum: CurriculumSettings = CurriculumSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("env", mode="before")
    @classmethod
    def _checked_by_task(cls, env: Any) -> Any:
        return make_task(**env) if isinstance(env, dict) and all(isinstance(key, str) for key in env) else env

    @field_validator("env")
    @classmethod
    def _named(cls, env: Task) -> Task:
        if not isinstance(env.language, str) or not isinstance(env.reward, str):
            raise SettingError(
                "language and env.reward of a run must be names, so that the run can be loaded again; name a reward "
                "function as MODULE:FUNCTION."
            )
        try:
            env.language.encode()
        except UnicodeEncodeError:
            raise SettingError(f"language={env.language!a} is not UTF-8; rename the file or its folder.") from None
        return env

    @field_validator("algorithm")
    @classmethod
    def _known(cls, algorithm: str) -> str:
        section_name(algorithm)
        return algorithm

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        check_all(self._check_readable, self._check_optimizer, self._check_held_out)
        return self

    def _check_readable(self) -> None:
        head, depth, lookahead = self.policy.head, self.policy.depth, self.env.lookahead
        if head in TIED_HEADS and self.env.observation != "features":
            raise SettingError(
                f"policy.head={head} reads token vectors, which env.observation={self.env.observation} does not "
                "contain; type --set policy.head=fast, or --set env.observation=features."
            )
        if head == "planning" and depth > lookahead:
            shallower = f"--set policy.depth={lookahead}, " if lookahead else ""
            raise SettingError(
                f"policy.depth={depth} plans further than env.lookahead={lookahead} shows; type "
                f"--set env.lookahead={depth}, {shallower}or --set policy.head=tied."
            )

    def _check_optimizer(self) -> None:
        head = self.policy.head
        if self.policy.optimizer == "sgd" and head in TIED_HEADS:
            raise SettingError(
                f"policy.optimizer=sgd cannot train policy.head={head}, whose parameters differ in scale; type "
                "--set policy.head=fast, --set policy.optimizer=adam, or --set policy.optimizer=rmsprop."
            )

    def _check_held_out(self) -> None:
        if self.env.split == self.evaluation.split:
            raise SettingError(
                f"env.split and evaluation.split are both {self.env.split!r}; a run must be evaluated on "
                "problems that it was not trained on; type --set env.split=train."
            )

    @property
    def section(self) -> str:
        """Name of the algorithm's section: `maskable_ppo` for the algorithm `maskable-ppo`.

        Raises:
            SettingError: The algorithm is unknown.
        """
        return section_name(self.algorithm)

    @property
    def hyperparameters(self) -> OnPolicySettings:
        """Hyper-parameters of the run's algorithm.

        Raises:
            SettingError: The algorithm is unknown.
        """
        section: OnPolicySettings = getattr(self, self.section)
        return section

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as nested dictionaries of plain values, ready for YAML or JSON."""
        return self.model_dump(mode="json")


def group_size(section: OnPolicySettings) -> int:
    """Return the number of environments that play the same problems; 1 for algorithms without groups."""
    return section.group_size if isinstance(section, GRPOSettings) else 1


def section_name(algorithm: str) -> str:
    """Return the name of an algorithm's section.

    Raises:
        SettingError: The algorithm is unknown.
    """
    fields = Settings.model_fields.items()
    sections = [name for name, field in fields if issubclass(type(field.default), OnPolicySettings)]
    return find("algorithm", algorithm, {name.replace("_", "-"): name for name in sorted(sections)})
