"""The exported towers beside the model they came from."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from typer.testing import CliRunner

from openalign.commands.cli import app
from openalign.data.images.read import read_image
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.align import Align, AlignSettings, TextTowerSettings
from openalign.model.align_encoder import AlignEncoder
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.onnx import export as export_module
from openalign.model.onnx import faster as faster_module
from openalign.model.onnx.encoder import OnnxEncoder, exported
from openalign.model.onnx.export import export
from openalign.search import Index
from tests.model import plain_graphs
from tests.model.among_others import TEXTS, assert_same_image_vectors, assert_same_text_vectors
from tests.model.folders import clip_folder, put
from tests.model.foreign_folders import moved

pytestmark = pytest.mark.slow

SENTENCES = ["a red apple", "two cats in the snow", "dog", "a b c d e f g h i j k l m n o p q r s"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder of ours with its export in `onnx`; sides that SAME padding treats unevenly."""
    folder = tmp_path_factory.mktemp("exported")
    tokenizer = Tokenizer.load(train_tokenizer([*SENTENCES, *TEXTS], folder / "tokenizer.json", size=60))
    settings = AlignSettings(
        image_tower=ImageTowerSettings(
            width_multiplier=0.25, kernels=(3, 5), strides=(1, 2), channels=(32, 64), repeats=(1, 2), expansions=(1, 4)
        ),
        text_tower=TextTowerSettings(width=16, layers=2, heads=2, inner_width=32, max_pieces=12),
        vocabulary=tokenizer.size,
        image_size=33,
        resize_size=40,
    )
    hub.save(moved(Align(settings)), tokenizer, folder / "model", card="# untrained\n")
    export(folder / "model", folder / "model" / "onnx")
    return folder / "model"


def test_the_export_gives_the_models_vectors_for_any_number_of_images_and_texts(model):
    ours, onnx = hub.load(model), OnnxEncoder(model / "onnx")
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (50 + 7 * n, 90 - 5 * n, 3), dtype=np.uint8) for n in range(5)]
    for count in (1, 5):
        np.testing.assert_allclose(onnx.embed_images(images[:count]), ours.embed_images(images[:count]), atol=1e-5)
    for texts in (SENTENCES, SENTENCES[:1], ["dog " * 40]):
        np.testing.assert_allclose(onnx.embed_texts(texts), ours.embed_texts(texts), atol=1e-5)
    assert (onnx.fingerprint, onnx.width, onnx.temperature) == (ours.fingerprint, ours.width, ours.temperature)


def test_a_vector_is_the_same_alone_and_among_31_others(model):
    assert_same_image_vectors(OnnxEncoder(model / "onnx"))
    assert_same_text_vectors(OnnxEncoder(model / "onnx"))


def test_any_runtime_can_use_the_files(model):
    about = json.loads((model / "onnx" / "onnx.json").read_text())
    session = onnxruntime.InferenceSession(model / "onnx" / "image.onnx")
    pixels = np.zeros((3, about["image_size"], about["image_size"], 3), np.uint8)
    (vectors,) = session.run(["vectors"], {"pixels": pixels})
    assert vectors.shape == (3, about["width"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_export_of_other_weights_is_passed_over(model):
    fingerprint = hub.load(model).fingerprint
    assert exported(model, fingerprint) is not None
    assert exported(model, "another") is None
    assert exported(model / "onnx", fingerprint) is None


def test_a_folder_of_something_else_is_not_replaced(model):
    with pytest.raises(OpenAlignError, match="exists and is not an export"):
        export(model, model)


def test_an_export_with_a_file_of_the_users_is_not_replaced(model, tmp_path):
    folder = copied(model, tmp_path)
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(folder)
    for to in (folder, tmp_path / "link"):
        with pytest.raises(OpenAlignError, match=r"onnx also holds notes\.txt, which is not part of an export"):
            export(model, to)
    assert (folder / "notes.txt").read_text() == "mine" and (folder / "image.onnx").exists()


@pytest.mark.parametrize("source", ["a/model", "gone.index"])
def test_a_table_of_what_is_no_index_is_refused_before_anything_is_loaded(source, tmp_path):
    done = CliRunner().invoke(app, ["export", source, "--to", str(tmp_path / "a.parquet")], prog_name="openalign")
    assert done.exit_code == 2 and "is not an index" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [["onnx.json"], ["text.onnx", "notes.txt"], ["onnx.json", "config.json"]])
def test_a_folder_with_one_file_named_as_in_an_export_is_none(model, tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(OpenAlignError, match="exists and is not an export"):
        export(model, tmp_path)
    with pytest.raises(OpenAlignError, match="exists and is not an export"):
        export(model, tmp_path / names[0])
    assert all((tmp_path / name).read_text() == "mine" for name in names)


def test_an_export_is_replaced_even_where_one_file_is_lost(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_write", plain_graphs.write)
    folder = copied(model, tmp_path)
    (folder / "onnx.json").unlink()
    (folder / "text.onnx").write_bytes(b"")
    export(model, folder)
    assert OnnxEncoder(folder).embed_texts(["dog"]).shape[0] == 1


def test_a_cut_off_export_is_refused(model, tmp_path):
    for name in ("onnx.json", "tokenizer.json", "tokenizer_config.json", "image.onnx"):
        (tmp_path / name).write_bytes((model / "onnx" / name).read_bytes())
    (tmp_path / "text.onnx").write_bytes((model / "onnx" / "text.onnx").read_bytes()[:1000])
    with pytest.raises(OpenAlignError, match=r"no whole export \(text.onnx is damaged\); run `openalign export` again"):
        OnnxEncoder(tmp_path)


def copied(model, to):
    """The export of `model` as a whole folder with checksums, as `export` wrote it."""
    return Path(shutil.copytree(model / "onnx", to / "onnx"))


@pytest.mark.parametrize("name", ["onnx.json", "image.onnx", "text.onnx", "tokenizer.json"])
def test_one_changed_byte_is_refused_before_the_runtime_sees_it(model, tmp_path, name, monkeypatch):
    folder = copied(model, tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    with pytest.raises(OpenAlignError, match=rf"{name} has changed since it was written.*run `openalign export` again"):
        OnnxEncoder(folder)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("width", "8", "`width` = '8'"),
        ("width", -1, "`width` = -1"),
        ("resize_size", 10**9, "`resize_size`"),
        ("image_size", 41, "larger than `resize_size`"),
        ("temperature", 0, "`temperature`"),
        ("max_pieces", None, "`max_pieces`"),
    ],
)
def test_odd_numbers_in_onnx_json_are_refused(model, tmp_path, key, value, says):
    folder = copied(model, tmp_path)
    (folder / "checksums.json").unlink()
    put(folder / "onnx.json", key, value)
    with pytest.raises(OpenAlignError, match=rf"no whole export \(.*{says}"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "\x00"])
def test_an_onnx_json_of_something_else_is_refused(model, tmp_path, content):
    folder = copied(model, tmp_path)
    (folder / "checksums.json").unlink()
    (folder / "onnx.json").write_text(content)
    with pytest.raises(OpenAlignError, match=r"no whole export \(.*onnx\.json"):
        OnnxEncoder(folder)


def test_a_graph_with_data_in_another_file_is_refused_before_the_runtime_sees_it(model, tmp_path, monkeypatch):
    folder = copied(model, tmp_path)
    (folder / "checksums.json").unlink()
    graph = onnx.load(folder / "text.onnx")
    onnx.save_model(graph, folder / "text.onnx", save_as_external_data=True, location="weights.data", size_threshold=0)
    monkeypatch.setattr(onnxruntime, "InferenceSession", InferenceSessionOfImagesOnly)
    with pytest.raises(OpenAlignError, match=r"text\.onnx takes data from another file"):
        OnnxEncoder(folder)


class InferenceSessionOfImagesOnly(onnxruntime.InferenceSession):
    """Fails the test where the graph with data elsewhere is opened."""

    def __init__(self, path, **options):
        assert path.name == "image.onnx"
        super().__init__(path, **options)


def test_swapped_towers_and_tokens_beyond_the_vocabulary_are_refused(model, tmp_path):
    folder = copied(model, tmp_path)
    (folder / "checksums.json").unlink()
    larger = train_tokenizer(
        [*SENTENCES, *TEXTS, "a zebra of the zoo", "quick brown foxes jump over"], tmp_path / "t.json", size=200
    )
    (folder / "tokenizer.json").write_bytes(larger.read_bytes())
    with pytest.raises(OpenAlignError, match="does not fit its tokenizer"):
        OnnxEncoder(folder).embed_texts(["a zebra jumps over"])
    (folder / "text.onnx").write_bytes((folder / "image.onnx").read_bytes())
    with pytest.raises(OpenAlignError, match=r"text\.onnx is of another kind"):
        OnnxEncoder(folder)


def test_an_export_that_is_not_there_is_an_error_message(tmp_path):
    with pytest.raises(OpenAlignError, match=r"nothing: cannot be read"):
        OnnxEncoder(tmp_path / "nothing")


def test_every_kind_of_model_crops_a_picture_alike_in_whatever_form_it_comes(model, tmp_path):
    """A photo that is turned, and larger than a JPEG decoder would need for the crop."""
    tokenizer = Tokenizer.load(model)
    clip = hub.load(clip_folder(tmp_path / "clip", tokenizer))
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((1500, 1000)).save(tmp_path / "photo.jpg", exif=exif)
    for encoder in (hub.load(model), OnnxEncoder(model / "onnx"), clip):
        with Image.open(tmp_path / "photo.jpg") as opened:
            expected = encoder.prepare(tmp_path / "photo.jpg")
            for form in ((tmp_path / "photo.jpg").read_bytes(), opened, read_image(opened)):
                np.testing.assert_array_equal(encoder.prepare(form), expected)


def test_the_export_stands_in_the_models_folder_unless_told_otherwise(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_write", plain_graphs.write)
    copied = shutil.copytree(model, tmp_path / "model", ignore=shutil.ignore_patterns("onnx"))
    assert export(copied) == copied / "onnx"
    assert exported(copied, hub.load(copied).fingerprint) is not None


@pytest.mark.parametrize("onnx_is_faster", [True, False])
def test_an_index_is_made_by_the_faster_one_and_says_the_same(model, tmp_path, monkeypatch, onnx_is_faster):
    monkeypatch.setattr(faster_module, "seconds_of", lambda each: isinstance(each, OnnxEncoder) != onnx_is_faster)
    monkeypatch.setattr(faster_module, "_recall", lambda key: None)
    used = []
    for kind in (OnnxEncoder, AlignEncoder):
        embed = kind._embed_prepared
        monkeypatch.setattr(
            kind, "_embed_prepared", lambda each, pixels, f=embed: used.append(type(each)) or f(each, pixels)
        )
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (50, 40), colour).save(tmp_path / f"{name}.png")
    index = Index.build(tmp_path, model=model, to=tmp_path / "x.index")
    assert set(used) == {OnnxEncoder if onnx_is_faster else AlignEncoder}
    assert index.store.meta.model_name == str(model)
    expected = hub.load(model).embed_images([tmp_path / "a.png", tmp_path / "b.png"])
    np.testing.assert_allclose(index.vectors.astype(np.float32), expected, atol=1e-3)


@pytest.mark.parametrize("named", [False, True])
def test_a_text_is_searched_by_an_export_without_torch(model, tmp_path, monkeypatch, named):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(faster_module, "seconds_of", lambda each: 2.0 if isinstance(each, OnnxEncoder) else 1.0)
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (50, 40), colour).save(tmp_path / f"{name}.png")
    index = Index.build(tmp_path, model=model, to=tmp_path / "x.index")
    code = (
        "import json, sys\nfrom openalign.commands.cli import main\n"
        "try:\n    main()\nfinally:\n    print(json.dumps([*sys.modules]), file=sys.stderr)"
    )
    options = ["--json", *(["--model", str(model)] if named else [])]
    command = [sys.executable, "-c", code, "search", str(tmp_path / "x.index"), "a red apple", *options]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = json.loads(found.stderr.splitlines()[-1])
    assert "onnxruntime" in loaded
    assert not {"torch", "transformers", "pandas", "scipy", "sklearn", "pymilvus", "sympy"}.intersection(loaded)
    scores = [hit["score"] for hit in json.loads(found.stdout)["hits"]]
    expected = [hit.score for hit in Index(index.store, hub.load(model)).search("a red apple")]
    np.testing.assert_allclose(scores, expected, atol=1e-3)
