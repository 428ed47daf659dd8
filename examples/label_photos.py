"""Zero-shot: give each photo the best of your own labels, without training.

python examples/label_photos.py photos/*.jpg --labels "shoe,bag,shirt" > labels.csv
"""

import argparse
import csv
import sys

import openalign


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a CSV of photos with their most probable label.")
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--labels", required=True, help="Separated by commas.")
    parser.add_argument("--model", default="google/siglip-base-patch16-256")
    arguments = parser.parse_args()

    labels = [label.strip() for label in arguments.labels.split(",")]
    answers = openalign.classify(openalign.load(arguments.model), arguments.photos, labels)
    table = csv.writer(sys.stdout)
    table.writerow(["file", "label", "probability"])
    for photo, ranked in zip(arguments.photos, answers, strict=True):
        label, probability = ranked[0]
        table.writerow([photo, label, f"{probability:.3f}"])


if __name__ == "__main__":
    main()
