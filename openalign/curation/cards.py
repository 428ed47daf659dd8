"""README.md of a curated folder and of its shards, for people and for `datasets.load_dataset`.

Without one, that takes the tables of the folder, or the indexes beside the shards, for the data.
"""

from pathlib import Path

CARD = "README.md"
_CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: "{pattern}"
---

Image-text pairs, written by `openalign curate`. Each sample of the WebDataset tars is `KEY.jpg`, `KEY.txt` (the text)
and `KEY.json` (page, size and checksum of the image as found).

- openalign: `openalign train RECIPE --set data={folder}`
- Hugging Face: `datasets.load_dataset("{folder}")` gives `jpg`, `txt` and `json`
- WebDataset: `webdataset.WebDataset("{folder}/{pattern}").decode("pil").to_tuple("jpg", "txt")`, with the names of the
  tars in place of `*`
"""


def write_cards(folder: Path) -> None:
    """Write the README.md of a curated folder, and that of its `shards/`."""
    (folder / CARD).write_text(_CARD.format(pattern="shards/*.tar", folder="CURATED"), encoding="utf-8")
    (folder / "shards" / CARD).write_text(_CARD.format(pattern="*.tar", folder="CURATED/shards"), encoding="utf-8")
