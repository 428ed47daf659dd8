"""A database of rclip with made rows, as if so many files of a folder were indexed.

python queries.py DATABASE FOLDER ROWS
"""

import sys
from pathlib import Path

import numpy as np
from rclip import db

WIDTH = 512


def main() -> None:
    path, folder, rows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    path.unlink(missing_ok=True)
    database = db.DB(path)
    chance = np.random.default_rng(0)
    for row in range(rows):
        vector = chance.standard_normal(WIDTH, np.float32)
        vector /= np.linalg.norm(vector)
        image = db.NewImage(
            filepath=f"{folder}/{row:07}.jpg", modified_at=0, size=100_000, vector=vector.tobytes(), hash=f"{row:032x}"
        )
        database.upsert_image(image, commit=False)
    database.close()


if __name__ == "__main__":
    main()
