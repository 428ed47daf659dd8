"""webdataset as open_clip's training script builds it, timed; prints images/s of one pass as JSON.

    python bench/peers/webdataset_loader.py FOLDER SIDE BATCH SKIP

`FOLDER` holds shards. Stages as in `open_clip_train.data.get_wds_dataset`, transforms those of open_clip
(random resized crop, bicubic; ToTensor; Normalize), the texts go through its tokenizer; one worker.
"""

import json
import sys
import time
from pathlib import Path

import webdataset as wds
from open_clip import get_tokenizer, image_transform


def main() -> None:
    folder, side, batch_size, skipped = Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:5])
    preprocess = image_transform(side, is_train=True, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    tokenizer = get_tokenizer("ViT-B-32")
    dataset = wds.DataPipeline(
        wds.SimpleShardList([str(tar) for tar in sorted(folder.glob("*.tar"))]),
        wds.split_by_worker,
        wds.tarfile_to_samples(),
        wds.shuffle(bufsize=5000, initial=1000),
        wds.decode("pilrgb"),
        wds.rename(image="jpg;png;jpeg;webp", text="txt"),
        wds.map_dict(image=preprocess, text=lambda text: tokenizer(text)[0]),
        wds.to_tuple("image", "text"),
        wds.batched(batch_size, partial=False),
    )
    loader = wds.WebLoader(dataset, batch_size=None, shuffle=False, num_workers=1)
    began, images = 0.0, 0
    for number, (images_BCHW, _) in enumerate(loader):
        if number == skipped:
            began = time.perf_counter()
        elif number > skipped:
            images += len(images_BCHW)
    print(json.dumps(images / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
