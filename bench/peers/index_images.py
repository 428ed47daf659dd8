"""The vectors of a folder of images by a pipeline of transformers.

python index_images.py CLIP PHOTOS OUT.npy
"""

import sys
from pathlib import Path

import numpy as np
import transformers


def main() -> None:
    clip, photos, out = sys.argv[1:]
    model = transformers.CLIPVisionModelWithProjection.from_pretrained(clip)
    processor = transformers.AutoImageProcessor.from_pretrained(clip)
    pipe = transformers.pipeline("image-feature-extraction", model=model, image_processor=processor)
    files = [str(path) for path in sorted(Path(photos).iterdir())]
    # Its first output is `image_embeds`, the projected vector.
    np.save(out, np.array(pipe(files, batch_size=16), np.float32).reshape(len(files), -1))


if __name__ == "__main__":
    main()
