"""Train both towers from scratch on a table of images and texts, and measure the model on rows it never saw.

    python examples/train_on_my_table.py photos.csv --to runs/mine

The table has an image column, a text column and a column `split` with the values `train` and `val`. `--set KEY=VALUE`
changes the recipe `laptop`; the same command continues a run that was stopped.
"""

import argparse
from pathlib import Path

import openalign
from openalign.data.pairs.open import open_pairs
from openalign.data.tokenizer.wordpiece import train_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on a table, evaluate on its held-out rows.")
    parser.add_argument("table", type=Path)
    parser.add_argument("--to", type=Path, default=Path("runs/mine"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()

    tokenizer = arguments.to.with_suffix(".tokenizer.json")
    if not tokenizer.exists():
        tokenizer.parent.mkdir(parents=True, exist_ok=True)
        train_tokenizer(open_pairs(arguments.table, split="train").texts(), tokenizer, 2000)

    resume = (arguments.to / "recipe.toml").exists()
    settings = {"data": str(arguments.table), "tokenizer": str(tokenizer), "split": "train"}
    settings |= dict(change.split("=", 1) for change in arguments.set)
    if resume:
        result = openalign.train(to=arguments.to, resume=True)
    else:
        result = openalign.train("laptop", set=settings, to=arguments.to)
    print(f"step {result.steps}: loss {result.loss:.3f}")

    figures = openalign.evaluate(result.model, arguments.table, split="val")
    for direction, metrics in figures["metrics"].items():
        chance = figures["chance"][direction]
        print(f"{direction}: R@1 {metrics['R@1']:.1%} (chance {chance['R@1']:.1%}), R@10 {metrics['R@10']:.1%}")


if __name__ == "__main__":
    main()
