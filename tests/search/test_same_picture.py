"""One picture is one vector, whichever way it reaches the model: index, search, evaluation, labels, service, Python."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from openalign.data.images.decode import resize
from openalign.data.images.read import read_image
from openalign.evaluation.run import evaluate
from openalign.evaluation.zero_shot import classify
from openalign.model.dual_encoder import DualEncoder, centre_crop
from openalign.search import Index
from openalign.serve.app import create_app

pytestmark = pytest.mark.slow

SAME = 0.9999
NAMES = ("large.jpg", "turned.jpg", "clear.png", "grey16.png", "cmyk.jpg", "palette.gif", "progressive.jpg")


class PixelEncoder(DualEncoder):
    """The vector of an image is its crop itself, so that every pixel counts; a text is a fixed random direction."""

    name, fingerprint = "pixels", "beef"
    image_size, width, temperature = 16, 16 * 16 * 3, 0.05

    def prepare(self, image):
        return centre_crop(read_image(image), resize_size=18, image_size=16)

    def _embed_prepared(self, images):
        flat = torch.from_numpy(np.asarray(images, np.float32)).flatten(1) - 127.5
        return torch.nn.functional.normalize(flat, dim=1)

    def _embed_text_batch(self, texts: Sequence[str]):
        rows = [np.random.default_rng(len(text)).standard_normal(self.width) for text in texts]
        return torch.nn.functional.normalize(torch.tensor(np.array(rows), dtype=torch.float32), dim=1)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures that are easily read in two ways, one of them much larger than the model's crop."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        options = {"progressive": name.startswith("progressive")}
        rng = np.random.default_rng(seed)
        detail = resize(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8), *((900, 1200) if seed == 0 else (90, 120)))
        image = Image.fromarray(detail)
        if name.startswith("turned"):
            exif = Image.Exif()
            exif[0x0112] = 8
            options["exif"] = exif
        if name == "clear.png":
            image.putalpha(image.convert("L").point(lambda value: 255 * (value > 120)))
        elif name == "grey16.png":
            image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200)
        elif name == "cmyk.jpg":
            image = image.convert("CMYK")
        image.save(folder / name, **options)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_a_picture_has_the_same_vector(pictures: Path, name: str) -> None:
    file = pictures / name
    pixels = read_image(file)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    with Image.open(file) as opened:
        forms = [file, str(file), file.read_bytes(), opened, opened.copy(), pixels, png.getvalue()]
        vectors_ND = PixelEncoder().embed_images(forms)
    assert (vectors_ND @ vectors_ND.T).min() > SAME


def test_index_search_evaluation_labels_and_service_agree(pictures: Path, tmp_path: Path) -> None:
    model = PixelEncoder()
    index = Index.build([pictures], model=model, to=tmp_path / "p.index")
    labels = ["a", "bb", "ccc"]
    with TestClient(create_app(index, model)) as client:
        for row in range(len(index)):
            file = Path(index.row(row).image)
            with Image.open(file) as opened:
                direct_D = model.embed_images([opened])[0]
                by_image = classify(model, [opened], labels)[0]
            assert index.vectors[row].astype(np.float32) @ direct_D > SAME
            hit = index.search(image=file, top=1)[0]
            assert (Path(hit.image), hit.score > SAME) == (file, True)
            shown = (index.row(row).width, index.row(row).height)
            assert shown == read_image(file).shape[1::-1]
            replies = [
                client.post("/api/classify", data={"labels": labels, "row": row}),
                client.post("/api/classify", data={"labels": labels}, files={"image": (file.name, file.read_bytes())}),
            ]
            for reply in replies:
                found = {each["label"]: each["probability"] for each in reply.json()["labels"]}
                assert found == pytest.approx(dict(by_image), rel=1e-3)


def test_evaluation_reads_a_file_as_its_lossless_copy(pictures: Path, tmp_path: Path) -> None:
    lossless = tmp_path / "lossless"
    lossless.mkdir()
    rows = ["file,text"]
    for number, file in enumerate(sorted(pictures.iterdir())):
        rows.append(f"{file.name}.png,{'x' * (number + 1)}")
        Image.fromarray(read_image(file)).save(lossless / f"{file.name}.png")
        (pictures / f"{file.stem}.txt").write_text("x" * (number + 1))
    (lossless / "pairs.csv").write_text("\n".join(rows) + "\n")
    before, after = (evaluate(PixelEncoder(), folder) for folder in (pictures, lossless))
    assert before["metrics"] == after["metrics"]
    assert before["count"] == len(NAMES)
