"""Measure models on a table of images and texts, each beside chance.

python examples/evaluate_a_model.py coco/test.csv runs/mine/model google/siglip-base-patch16-256
"""

import argparse

import openalign


def main() -> None:
    parser = argparse.ArgumentParser(description="Retrieval in both directions.")
    parser.add_argument("data", help="Images and texts: a table, a folder, shards.")
    parser.add_argument("models", nargs="+", help="Model folders, or names on the Hugging Face hub.")
    arguments = parser.parse_args()

    for model in arguments.models:
        report = openalign.evaluate(model, arguments.data)
        print(f"{model}: {report['images']:,} images, {report['texts']:,} texts")
        for direction, metrics in report["metrics"].items():
            chance = report["chance"][direction]
            recalls = [f"{name} {metrics[name]:.1%} (chance {chance[name]:.1%})" for name in ("R@1", "R@5", "R@10")]
            print(f"  {direction}: {', '.join(recalls)}")


if __name__ == "__main__":
    main()
