"""Small shards with known samples."""

from pathlib import Path

import numpy as np

from openalign.data.images.decode import encode_jpeg
from openalign.data.shards.writer import ShardWriter

JPEG = encode_jpeg(np.zeros((8, 12, 3), np.uint8))


def write(folder: Path, count: int = 8, samples_per_shard: int = 3) -> list[str]:
    with ShardWriter(folder, samples_per_shard) as writer:
        return [
            writer.write(
                f"{i:09d}", JPEG + bytes([i]), f"a text, número {i}", {"image": f"http://a.test/{i}.jpg", "width": i}
            )
            for i in range(count)
        ]
