"""Write the episodes of a reference policy as a Minari dataset: `python -m token_env.episodes lookahead --out DIR`."""

import argparse
from pathlib import Path

from token_env import SIZES
from token_env.episodes.dataset import summary, write_episodes
from token_env.episodes.evaluate import first_problem_ids
from token_env.episodes.references import REFERENCES, find_reference
from token_env.errors import SettingError, find
from token_env.rules.problems import SPLITS
from token_env.rules.task import Task


def make_parser() -> argparse.ArgumentParser:
    """Create the parser of the command."""
    parser = argparse.ArgumentParser(prog="python -m token_env.episodes", description=__doc__)
    parser.add_argument("policy", metavar="POLICY", help=f"reference policy: {', '.join(REFERENCES)}")
    parser.add_argument("--size", default="fast", help=f"size of the task: {', '.join(SIZES)} [default: fast]")
    parser.add_argument("--language", default="synthetic", help="synthetic, english or text:PATH [default: synthetic]")
    parser.add_argument("--split", default="train", help=f"problems: {', '.join(SPLITS)} [default: train]")
    parser.add_argument(
        "--problems", type=int, default=1000, help="number of problems, from the first of the split [default: 1000]"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder of the dataset, a new one")
    return parser


def main() -> None:
    """Play a reference policy, write its episodes, and print what was written."""
    parser = make_parser()
    args = parser.parse_args()
    try:
        policy, size = find_reference(args.policy), find("size", args.size, SIZES)
        task = Task(**size, language=args.language, split=args.split)
        results = write_episodes(policy, first_problem_ids(args.problems), args.out, task=task)
    except SettingError as error:
        parser.exit(2, f"error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")
    print(summary(results, args.out))


if __name__ == "__main__":
    main()
