"""What a curation writes, opened by other programs as they would open it unasked."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from tests.curation.crawl import write_crawl

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others")
    curate([write_crawl(folder / "a.warc.gz")], to=folder / "out", recipe=CurateRecipe.of(download=False), workers=1)
    return folder / "out"


@pytest.fixture
def texts(curated: Path) -> list[str]:
    found: list[str] = pq.read_table(curated / "pairs.parquet")["text"].to_pylist()
    assert found
    return found


@pytest.mark.parametrize("folder", ["", "shards"])
def test_datasets_gives_pairs_with_images(curated: Path, texts: list[str], tmp_path: Path, folder: str) -> None:
    datasets = pytest.importorskip("datasets", reason="the library `datasets` is not installed")
    rows = datasets.load_dataset(str(curated / folder), cache_dir=str(tmp_path), split="train")
    assert [row["txt"] for row in rows] == texts
    assert all(min(row["jpg"].size) >= 200 for row in rows)


def test_webdataset_gives_pairs_with_images(curated: Path, texts: list[str]) -> None:
    webdataset = pytest.importorskip("webdataset", reason="the library `webdataset` is not installed")
    tars = [str(path) for path in sorted((curated / "shards").glob("*.tar"))]
    rows = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil").to_tuple("jpg", "txt"))
    assert [text for _, text in rows] == texts


def test_the_cards_name_tars_that_exist(curated: Path) -> None:
    import yaml

    for folder in (curated, curated / "shards"):
        head = (folder / "README.md").read_text().split("---")[1]
        (config,) = yaml.safe_load(head)["configs"]
        (files,) = config["data_files"]
        assert config["config_name"] == "default"
        assert list(folder.glob(files["path"])) == sorted((curated / "shards").glob("*.tar"))


def test_plain_tar_json_and_pillow_read_the_samples(curated: Path, texts: list[str]) -> None:
    found = []
    for path in sorted((curated / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        for name in sorted(name for name in files if name.endswith(".txt")):
            key = name.removesuffix(".txt")
            found.append(files[name].decode())
            fields = json.loads(files[f"{key}.json"])
            image = Image.open(io.BytesIO(files[f"{key}.jpg"]))  # which the shard may hold shrunk
            assert image.width / image.height == pytest.approx(fields["width"] / fields["height"], rel=0.02)
    assert found == texts


def test_pandas_and_duckdb_read_the_tables(curated: Path, texts: list[str]) -> None:
    duckdb = pytest.importorskip("duckdb")
    pandas = pytest.importorskip("pandas")
    assert pandas.read_parquet(curated / "pairs.parquet")["text"].tolist() == texts
    for name in ("pairs.parquet", "dropped.parquet"):
        ((count,),) = duckdb.sql(f"SELECT count(*) FROM '{curated / name}'").fetchall()
        assert count == pq.read_metadata(curated / name).num_rows
    joined = duckdb.sql(f"SELECT text FROM '{curated}/shards/*.index.parquet' ORDER BY key").fetchall()
    assert [text for (text,) in joined] == texts


def test_transformers_prepares_the_images_of_a_shard(curated: Path) -> None:
    transformers = pytest.importorskip("transformers")
    with tarfile.open(next((curated / "shards").glob("*.tar"))) as tar:
        member = next(member for member in tar if member.name.endswith(".jpg"))
        image = Image.open(io.BytesIO(tar.extractfile(member).read()))  # type: ignore[union-attr]
    processor = transformers.EfficientNetImageProcessor(size={"height": 32, "width": 32})
    assert np.asarray(processor(image, return_tensors="np")["pixel_values"]).shape == (1, 3, 32, 32)
