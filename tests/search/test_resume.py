import errno
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from openalign.data.images.read import read_image
from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder
from openalign.search import Index
from tests.search.contents import contents_of

pytestmark = pytest.mark.slow


class MixingEncoder(DualEncoder):
    """Gives an image a vector that depends on all images of its batch: equal vectors come of equal batches only."""

    name = "mixing"
    width = 6
    fingerprint = "0123"
    image_size = 1
    temperature = 0.1

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.interrupt_at = -1

    def prepare(self, image):
        return np.resize(read_image(image).mean(axis=0), 6).astype(np.float32)

    def _embed_prepared(self, images):
        if len(self.batches) == self.interrupt_at:
            self.interrupt_at = -1
            raise KeyboardInterrupt
        self.batches.append(images.tobytes())
        return torch.nn.functional.normalize(torch.tensor(images - 100 + images.mean(axis=0)), dim=1)

    def _embed_text_batch(self, texts):
        return torch.eye(self.width)[[len(text) % self.width for text in texts]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Ten batches of images, every seventh of which is one that came before."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for number in range(600):
        path = folder / f"{number:04}.png"
        if number % 7 == 6:
            path.write_bytes((folder / f"{noise.integers(number):04}.png").read_bytes())
        else:
            Image.fromarray(noise.integers(0, 255, (3, 4, 3), np.uint8)).save(path)
    return folder


def build(photos: Path, to: Path, model: MixingEncoder) -> int:
    """Index until it is not interrupted; returns the interruptions."""
    interruptions = 0
    for _ in range(20):
        try:
            Index.build([photos], model=model, to=to)
            break
        except KeyboardInterrupt:
            interruptions += 1
    return interruptions


@pytest.fixture(scope="module")
def alone(photos, tmp_path_factory) -> tuple[list[bytes], dict]:
    """The batches and the content of an index whose run was not interrupted."""
    to, model = tmp_path_factory.mktemp("alone") / "photos.index", MixingEncoder()
    assert build(photos, to, model) == 0
    return model.batches, contents_of(to)


@pytest.mark.parametrize("seed", range(2))
def test_interrupted_runs_write_the_same_index_and_embed_each_batch_once(photos, alone, tmp_path, seed):
    chance = random.Random(seed)
    model, interruptions = MixingEncoder(), 0
    for _ in range(4):
        model.interrupt_at = len(model.batches) + chance.randrange(3)
        with pytest.raises(KeyboardInterrupt):
            Index.build([photos], model=model, to=tmp_path / "photos.index")
        interruptions += 1
        if model.batches:
            assert 0 < len(Index.open(tmp_path / "photos.index")) <= 64 * len(model.batches)
    build(photos, tmp_path / "photos.index", model)
    assert interruptions == 4
    batches, content = alone
    assert model.batches == batches
    assert contents_of(tmp_path / "photos.index") == content
    assert not (tmp_path / ".photos.index.new").exists()


@pytest.mark.parametrize("step", [2, 3])
def test_adding_to_an_index_resumes_too(photos, tmp_path, step):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photos.iterdir())[::step]:
        (few / path.name).write_bytes(path.read_bytes())
    made = []
    for name, interrupt_at in (("alone.index", -1), ("photos.index", 3)):
        model = MixingEncoder()
        build(few, tmp_path / name, model)
        model.batches.clear()
        model.interrupt_at = interrupt_at
        interruptions = build(photos, tmp_path / name, model)
        made.append((interruptions, model.batches, contents_of(tmp_path / name)))
    (none, batches, content), (once, resumed_batches, resumed_content) = made
    assert (none, once) == (0, 1)
    assert (resumed_batches, resumed_content) == (batches, content)


def test_an_image_that_occurs_twice_is_embedded_once(photos, tmp_path):
    model = MixingEncoder()
    index = Index.build([photos], model=model, to=tmp_path / "photos.index")
    embedded = sum(len(batch) for batch in model.batches) // (4 * 6)
    assert len(index) == embedded == len({path.read_bytes() for path in photos.iterdir()}) < 600
    rows = index.store.rows(range(len(index)))
    assert len({row.digest for row in rows}) == len(rows)


def test_images_added_after_an_interruption_are_the_only_ones_embedded(photos, tmp_path, paint):
    model = MixingEncoder()
    model.interrupt_at = 5
    with pytest.raises(KeyboardInterrupt):
        Index.build([photos], model=model, to=tmp_path / "photos.index")
    done = sum(len(batch) for batch in model.batches)
    model.batches.clear()
    more = tmp_path / "more"
    more.mkdir()
    for path in photos.iterdir():
        (more / path.name).write_bytes(path.read_bytes())
    paint(more / "0000a.png", "red")
    everything = len({path.read_bytes() for path in photos.iterdir()}) + 1
    assert len(Index.build([more], model=model, to=tmp_path / "photos.index")) == everything
    again = sum(len(batch) for batch in model.batches)
    assert (done + again) // (4 * 6) == everything


@pytest.mark.parametrize("other", ["4567", "0123"])
def test_embedding_again_resumes_too_but_not_with_another_model(photos, tmp_path, other):
    model = MixingEncoder()
    before = Index.build([photos], model=model, to=tmp_path / "photos.index")
    count, model.batches[:] = len(model.batches), []
    model.fingerprint, model.interrupt_at = "0123", 5
    with pytest.raises(KeyboardInterrupt):
        Index.build([photos], model=model, to=tmp_path / "photos.index", re_embed=True)
    assert contents_of(tmp_path / "photos.index")  # the older one answers
    model.fingerprint = other
    again = Index.build([photos], model=model, to=tmp_path / "photos.index", re_embed=True)
    assert len(model.batches) == count + 5 * (other != "0123")
    assert again.store.meta.fingerprint == other
    assert len(before.store.rows(before.store.numbers)) == len(again)
    assert [path.name for path in tmp_path.iterdir()] == ["photos.index"]


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "none", folder], capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_reported_and_the_same_command_resumes(photos, alone, disk):
    batches, content = alone
    model = MixingEncoder()
    failures = 0
    held = 0
    for kilobytes in (16, 100, 200, 400, 600, 800, 1000, 1200, 1400, 8000):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)
        try:
            Index.build([photos], model=model, to=disk / "photos.index")
        except OpenAlignError as error:
            assert "make room" in str(error)
            failures += 1
        except OSError as error:
            assert error.errno == errno.ENOSPC
            failures += 1
        else:
            break
        if (disk / "photos.index").exists():
            now = len(Index.open(disk / "photos.index"))
            assert now >= held
            held = now
    assert failures > 3 and held
    assert contents_of(disk / "photos.index") == content
    assert len(model.batches) <= len(batches) + failures


def test_an_image_without_a_finite_vector_is_listed_and_left_out(photos, tmp_path):
    class Failing(MixingEncoder):
        def _embed_prepared(self, images):
            vectors = super()._embed_prepared(images).clone()
            vectors[0] = torch.nan
            return vectors

    index = Index.build([photos], model=Failing(), to=tmp_path / "photos.index")
    distinct = len({path.read_bytes() for path in photos.iterdir()})
    assert distinct - len(index.problems) <= len(index) < distinct
    assert index.problems[0].endswith("row 1 (0000.png): its vector is not finite")
    assert np.isfinite(index.vectors).all()


def test_a_run_that_fails_before_embedding_leaves_nothing_beside_the_index(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"no image")
    with pytest.raises(OpenAlignError):
        Index.build([tmp_path / "photos"], model=MixingEncoder(), to=tmp_path / "photos.index")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_an_index_on_a_medium_that_cannot_be_written_is_searched(photos, disk):
    index = Index.build([photos], model=MixingEncoder(), to=disk / "photos.index")
    expected = [index.search(row=3), index.thumbnail(3), len(index)]
    index.store.close()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    opened = Index.open(disk / "photos.index")
    assert [opened.search(row=3), opened.thumbnail(3), len(opened)] == expected
    opened.store.check_thoroughly()
    opened.store.close()
