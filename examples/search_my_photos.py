"""Search a folder of photos with a pretrained model.

    python examples/search_my_photos.py photos/ "a red apple"

`--model` takes a folder or a name on the Hugging Face hub; the first run downloads it (0.8 GB). The index is kept
beside the photos: a second run embeds only what is new.
"""

import argparse
from pathlib import Path

import openalign


def main() -> None:
    parser = argparse.ArgumentParser(description="Search a folder of photos by what they show.")
    parser.add_argument("photos", type=Path)
    parser.add_argument("text")
    parser.add_argument("--model", default="google/siglip-base-patch16-256")
    parser.add_argument("--minus", action="append", default=[], help="Take this away from the query; may be repeated.")
    arguments = parser.parse_args()

    folder = arguments.photos.resolve()
    index = openalign.Index.build([folder], model=arguments.model, to=folder.with_name(f"{folder.name}.index"))
    for problem in index.problems:
        print("note:", problem)
    for hit in index.search(arguments.text, minus=arguments.minus, top=5):
        print(f"{hit.score:.3f}  {hit.image}")


if __name__ == "__main__":
    main()
