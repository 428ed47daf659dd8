"""Our folders beside transformers' own AlignModel, and foreign dual encoders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from transformers import AlignConfig, AlignModel, CLIPImageProcessorPil, CLIPModel

from openalign.checksums import write_checksums
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError
from openalign.files import whole_folder
from openalign.model import folder as model_folder
from openalign.model import hub
from openalign.model.align import Align, AlignSettings, TextTowerSettings
from openalign.model.config import config_from, settings_from
from openalign.model.efficientnet.settings import ImageTowerSettings
from openalign.model.hub import load, load_align, save
from tests.model.folders import align_folder, clip_folder

TEXTS = ["a red apple", "two cats in the snow", "a dog"]


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    return Tokenizer.load(train_tokenizer(TEXTS, tmp_path / "tokenizer.json", size=60))


def tiny(padding: str, vocabulary: int) -> AlignSettings:
    return AlignSettings(
        image_tower=ImageTowerSettings(
            width_multiplier=0.25,
            kernels=(3, 5, 3),
            strides=(1, 2, 2),
            channels=(32, 64, 256),
            repeats=(1, 2, 2),
            expansions=(1, 4, 6),
            padding=padding,  # type: ignore[arg-type]
        ),
        text_tower=TextTowerSettings(width=16, layers=2, heads=2, inner_width=32, max_pieces=16),
        vocabulary=vocabulary,
        image_size=32,
        resize_size=40,
        initial_temperature=0.5,
    )


def randomised(model: Align) -> Align:
    """Weights and running statistics away from their initial values, so that every one of them matters."""
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point() and tensor.ndim > 0:
            tensor.copy_(tensor + 0.1 * torch.rand(tensor.shape, generator=generator))
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 256, 289])
def test_transformers_align_model_opens_our_folder_with_equal_numbers(
    size: int, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    ours = randomised(Align(tiny("hf", tokenizer.size)))
    save(ours, tokenizer, tmp_path / "model", card="# a model\n")
    port = AlignModel.from_pretrained(tmp_path / "model").eval()
    ids_BT, mask_BT = (torch.from_numpy(part) for part in tokenizer(TEXTS))
    images_BHWC = torch.randint(0, 256, (3, size, size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        out = port(
            pixel_values=images_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1.0, input_ids=ids_BT, attention_mask=mask_BT
        )
        images_BD, texts_BD = ours.embed_images(images_BHWC), ours.embed_texts(ids_BT, mask_BT)
        logits_BB = images_BD @ texts_BD.T / ours.temperature
    torch.testing.assert_close(images_BD, out.image_embeds, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(texts_BD, out.text_embeds, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits_BB, out.logits_per_image, rtol=1e-5, atol=1e-5)


def test_same_padding_differs_from_the_port_at_odd_sizes() -> None:
    same, port = (Align(tiny(padding, 60)).eval() for padding in ("same", "hf"))
    port.load_state_dict(same.state_dict())
    images_BHWC = torch.randint(0, 256, (1, 33, 33, 3), dtype=torch.uint8)
    assert not torch.allclose(same.embed_images(images_BHWC), port.embed_images(images_BHWC), atol=1e-3)


def test_a_folder_of_the_port_opens_here(tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = AlignConfig(**{k: v for k, v in config_from(tiny("hf", tokenizer.size)).items() if k != "openalign"})
    port = AlignModel(config)
    port.save_pretrained(tmp_path / "port")
    ours = load_align(tmp_path / "port")
    for name, tensor in ours.state_dict().items():
        if name != "log_temperature" and not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, port.state_dict()[name]), name
    assert ours.settings.image_tower.padding == "hf"


def test_weights_come_back_bit_for_bit(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = randomised(Align(tiny("same", tokenizer.size)))
    model.log_temperature.data.fill_(-3.1415926)
    save(model, tokenizer, tmp_path / "model", card="# a model\n")
    back = load_align(tmp_path / "model").state_dict()
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, back[name]) for name, tensor in model.state_dict().items())


def test_a_linear_layer_brings_the_image_features_to_another_width(tokenizer: Tokenizer, tmp_path: Path) -> None:
    settings = tiny("same", tokenizer.size).model_copy(update={"embedding_width": 24})
    model = randomised(Align(settings))
    assert model.embed_images(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)).shape == (2, 24)
    save(model, tokenizer, tmp_path / "model", card="# a model\n")
    encoder = load(tmp_path / "model")
    assert encoder.width == 24
    assert encoder.embed_texts(TEXTS).shape == (3, 24)
    assert torch.equal(
        load_align(tmp_path / "model").state_dict()["image_projection.weight"],
        model.state_dict()["image_projection.weight"],
    )


def test_settings_survive_the_round_trip_through_the_folders_configuration() -> None:
    settings = tiny("same", 77)
    assert settings_from(config_from(settings), "here") == settings


def test_a_saved_model_embeds_as_before(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = randomised(Align(tiny("same", tokenizer.size)))
    save(model, tokenizer, tmp_path / "model", card="# a model\n")
    encoder = load(tmp_path / "model")
    ids_BT, mask_BT = (torch.from_numpy(part) for part in tokenizer(TEXTS))
    with torch.inference_mode():
        expected = model.embed_texts(ids_BT, mask_BT).numpy()
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), expected, atol=1e-5)
    assert encoder.temperature == pytest.approx(0.5)


def test_every_kind_of_image_input_gives_the_same_vector(tokenizer: Tokenizer, tmp_path: Path) -> None:
    from PIL import Image

    save(randomised(Align(tiny("same", tokenizer.size))), tokenizer, tmp_path / "model", card="# a model\n")
    encoder = load(tmp_path / "model")
    array = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    path = tmp_path / "x.png"
    Image.fromarray(array).save(path)
    vectors_ND = encoder.embed_images([path, str(path), path.read_bytes(), Image.open(path), array], batch_size=2)
    assert vectors_ND.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors_ND, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors_ND, np.repeat(vectors_ND[:1], 5, axis=0), atol=1e-5)


def test_an_unreadable_image_is_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save(Align(tiny("same", tokenizer.size)), tokenizer, tmp_path / "model", card="# a model\n")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    with pytest.raises(OpenAlignError, match=r"broken\.jpg"):
        load(tmp_path / "model").embed_images([tmp_path / "broken.jpg"])


def test_weights_of_another_shape_are_refused_by_name(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save(Align(tiny("same", tokenizer.size)), tokenizer, tmp_path / "model", card="# a model\n")
    other = Align(tiny("same", tokenizer.size + 1))
    with pytest.raises(OpenAlignError, match=r"word_embeddings.*another shape"):
        hub.load_weights(other, tmp_path / "model" / hub.WEIGHTS)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OpenAlignError, match=r"no config\.json"):
        load(tmp_path)


def test_the_fingerprint_changes_with_the_weights(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(randomised(Align(tiny("same", tokenizer.size))), tokenizer, tmp_path / name, card="# a model\n")
    assert load(tmp_path / "one").fingerprint != load(tmp_path / "two").fingerprint


def test_a_clip_folder_embeds_as_transformers_does(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / "clip", tokenizer)
    clip, processor = CLIPModel.from_pretrained(folder).eval(), CLIPImageProcessorPil.from_pretrained(folder)
    encoder = load(folder)
    assert (encoder.width, encoder.image_size) == (12, 32)
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    with torch.inference_mode():
        features = clip.get_image_features(**processor(images=image, return_tensors="pt")).pooler_output
    expected = torch.nn.functional.normalize(features, dim=1).numpy()
    np.testing.assert_allclose(encoder.embed_images([image]), expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(encoder.embed_texts(TEXTS), axis=1), 1.0, atol=1e-5)


def test_weights_in_shards_and_in_half_precision_give_the_same_vectors(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / "clip", tokenizer)
    expected = load(folder).embed_texts(TEXTS)
    clip = CLIPModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    clip.save_pretrained(folder, max_shard_size="10KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    np.testing.assert_array_equal(load(folder).embed_texts(TEXTS), expected)
    for shard in folder.glob("model*.safetensors*"):
        shard.unlink()
    clip.half().save_pretrained(folder)
    np.testing.assert_allclose(load(folder).embed_texts(TEXTS), expected, atol=1e-2)


def test_a_run_that_was_killed_between_two_renames_is_loaded(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = tmp_path / "run"
    align_folder(run / "model", tokenizer)
    write_checksums(run / "model")
    fingerprint = load(run).fingerprint
    for left in (".model.whole", ".model.older"):
        (run / "model").rename(run / left)
        assert load(run / "model").fingerprint == fingerprint
        (run / "model").rename(run / left)
        assert load(run).fingerprint == fingerprint


def test_a_cache_of_symbolic_links_is_loaded(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model, snapshot = align_folder(tmp_path / "blobs", tokenizer), tmp_path / "snapshot"
    snapshot.mkdir()
    for path in model.iterdir():
        (snapshot / path.name).symlink_to(path)
    assert load(snapshot).fingerprint == load(model).fingerprint


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"])
def test_one_changed_byte_of_a_folder_with_checksums_is_refused(
    name: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with whole_folder(tmp_path / "model") as folder:
        align_folder(folder, tokenizer)
    load(tmp_path / "model")
    content = bytearray((tmp_path / "model" / name).read_bytes())
    content[-2] ^= 1
    (tmp_path / "model" / name).write_bytes(content)
    for opened in (load, load_align):
        with pytest.raises(OpenAlignError, match=rf"{name} has changed since it was written.*an older checkpoint"):
            opened(tmp_path / "model")


def test_missing_weights_of_a_folder_with_checksums_are_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with whole_folder(tmp_path / "model") as folder:
        align_folder(folder, tokenizer)
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(OpenAlignError, match=r"model\.safetensors cannot be read"):
        load(tmp_path / "model")


def test_the_fingerprint_is_the_same_with_checksums_and_without(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with whole_folder(tmp_path / "model") as folder:
        align_folder(folder, tokenizer)
    expected = load(tmp_path / "model").fingerprint
    (tmp_path / "model" / "checksums.json").unlink()
    assert load(tmp_path / "model").fingerprint == expected


def test_a_tokenizer_of_another_model_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    ours, theirs = align_folder(tmp_path / "ours", tokenizer), clip_folder(tmp_path / "theirs", tokenizer)
    larger = train_tokenizer([*TEXTS, "quick brown foxes jump"], tmp_path / "larger.json", size=90)
    for folder in (ours, theirs):
        (folder / "tokenizer.json").write_bytes(larger.read_bytes())
    with pytest.raises(OpenAlignError, match="tokenizer of another model"):
        load(ours)
    with pytest.raises(OpenAlignError, match=r"gives the id \d+.*tokenizer of another model"):
        load(theirs).embed_texts(["quick brown foxes jump"])


def test_a_text_of_megabytes_means_what_its_beginning_means(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for folder in (align_folder(tmp_path / "ours", tokenizer), clip_folder(tmp_path / "clip", tokenizer)):
        encoder = load(folder)
        long, short = encoder.embed_texts(["a red apple " * 200_000, "a red apple " * 40])
        np.testing.assert_allclose(long, short, atol=1e-6)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (LocalEntryNotFoundError("offline"), "cannot be reached"),
        (RepositoryNotFoundError.__new__(RepositoryNotFoundError), "no such model, or you have no access"),
        (HFValidationError("a/b/c"), "such a name is OWNER/MODEL"),
        (OSError("disk full"), "OSError while downloading"),
    ],
)
def test_why_no_model_was_downloaded_is_said(monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str) -> None:
    def failing(*args: object, **options: object) -> str:
        raise error

    monkeypatch.setattr(model_folder, "snapshot_download", failing)
    with pytest.raises(OpenAlignError, match=f"a/model: neither a folder nor a model of .*{advice}"):
        load("a/model")
