"""Tune A2C in your own Optuna study, with a parameter that the search space does not have.

Shows `search_space` and `try_out` of `agents.study`; without an additional parameter, `objective` combines them:

    python -m examples.own_study
"""

import optuna

from agents import make_settings
from agents.settings.layers import preset_layer
from agents.study import own_parameters, search_space, seed_set, suggested, try_out


def main(trials: int = 8, episodes: int = 400) -> optuna.Study:
    """Run the study, print its best trial, and return it."""
    base = make_settings(preset_layer("tiny"), {"algorithm": "a2c", "episodes": episodes, "device": "cpu"})
    print(f"search space: {', '.join(search_space(base))}, and the width of the networks")

    def objective(trial: optuna.Trial) -> float:
        width = trial.suggest_categorical("width", [32, 64])
        settings = make_settings(suggested(trial, base).to_dict(), {"policy": {"hidden": [width, width]}})
        return try_out(trial, settings, seed_set("trials", 2))

    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    study.enqueue_trial({**own_parameters(base), "width": 64})
    study.optimize(objective, n_trials=trials)
    print(f"score {study.best_value:.3f} with {study.best_params}")
    return study


if __name__ == "__main__":
    main()
