"""Near-duplicates by imagededup, in an environment of its own.

python fold.py FOLDER OUT WORKERS

FOLDER has the images; OUT gets a JSON object for each method and distance: pairs of names, and seconds of each step.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from imagededup.methods import DHash, PHash

DISTANCES = (4, 6, 8, 10)
"""Of 64 bits; 10 is what imagededup takes unless told otherwise."""


def main() -> None:
    folder, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    ways = []
    for method in (PHash, DHash):
        hasher = method(verbose=False)
        began = time.perf_counter()
        codes = hasher.encode_images(image_dir=str(folder), num_enc_workers=workers)
        encoded = time.perf_counter() - began
        for distance in DISTANCES:
            began = time.perf_counter()
            found = hasher.find_duplicates(
                encoding_map=codes, max_distance_threshold=distance, scores=False, num_dist_workers=workers
            )
            searched = time.perf_counter() - began
            pairs = sorted({tuple(sorted((name, other))) for name, others in found.items() for other in others})
            way = f"imagededup {method.__name__}, {distance} bits"
            ways.append({"way": way, "pairs": pairs, "hash s": encoded, "search s": searched})
    out.write_text(json.dumps({"ways": ways, "versions": {"imagededup": version("imagededup")}}))


if __name__ == "__main__":
    main()
