"""Model folders that a stranger made: no code of theirs runs, nothing is asked, and no odd file is opened."""

import ast
import builtins
import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import openalign
from openalign.curation.images.classifier import open_classifier
from openalign.data.files.json_files import MOST_BYTES
from openalign.data.images.read import MOST_IMAGE_BYTES
from openalign.data.tokenizer.limits import MOST_TOKENIZER_BYTES
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError
from openalign.model import hub
from openalign.model.hub import load, load_align
from tests import preloaded
from tests.model.folders import align_folder, clip_folder, edit, put

PACKAGE = Path(openalign.__file__).parent
AUTO_MAP = {
    "AutoConfig": "modeling_x.XConfig",
    "AutoModel": "modeling_x.X",
    "AutoModelForImageClassification": "modeling_x.X",
    "AutoImageProcessor": "modeling_x.X",
    "AutoTokenizer": ["modeling_x.X", "org/repo--modeling_x.X"],
}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    return Tokenizer.load(train_tokenizer(["a red apple", "two cats", "a dog"], tmp_path / "t.json", size=60))


@pytest.fixture
def align(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    return align_folder(tmp_path / "align", tokenizer)


@pytest.fixture
def clip(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    return clip_folder(tmp_path / "clip", tokenizer)


def with_code(folder: Path, name: str = "config.json", key: str = "auto_map") -> Path:
    """Let `folder` ask for code of its own; returns the file that its code would write."""
    ran = folder.parent / "ran"
    (folder / "modeling_x.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass X: pass\nclass XConfig: pass\n")
    put(folder / name, key, AUTO_MAP)
    return ran


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("config.json", "auto_map"),
        ("config.json", "vision_config.auto_map"),
        ("preprocessor_config.json", "auto_map"),
        ("tokenizer_config.json", "auto_map"),
    ],
)
def test_a_folder_that_needs_code_of_its_own_is_refused(clip: Path, name: str, key: str) -> None:
    ran = with_code(clip, name, key)
    with pytest.raises(OpenAlignError, match=rf"clip needs code of its own \(`auto_map` in {name}\), which openalign"):
        load(clip)
    with pytest.raises(OpenAlignError, match="needs code of its own"):
        open_classifier(str(clip), ("nsfw",), "unsafe_images", "unsafe_labels")
    assert not ran.exists()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer_config.json"])
def test_transformers_neither_runs_that_code_nor_asks_where_our_check_is_left_out(
    clip: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []
    monkeypatch.setattr(builtins, "input", lambda question="": questions.append(question) or "y")
    monkeypatch.setattr(hub, "check_folder", lambda _: None)
    ran = with_code(clip, name)
    if name == "config.json":
        put(clip / name, "model_type", "x")
        with pytest.raises(OpenAlignError, match="cannot be loaded by transformers"):
            load(clip)
    else:
        load(clip)  # transformers has classes of its own for them
    assert not questions and not ran.exists()


@pytest.mark.slow
def test_on_a_terminal_nothing_is_asked(clip: Path) -> None:
    ran = with_code(clip)
    ours, theirs = pty.openpty()
    code = f"import openalign; openalign.load({str(clip)!r})"
    with preloaded.Popen([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.write(ours, b"y\ny\ny\n")
        os.close(theirs)
        output = read_until_end(ours, seconds=100)
        child.kill()
    assert "needs code of its own" in output and "[y/N]" not in output
    assert not ran.exists()


def read_until_end(terminal: int, seconds: float) -> str:
    """What a child writes to its terminal until it ends; at most `seconds`."""
    output, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                part = os.read(terminal, 10_000)
            except OSError:  # Linux says so when the other side has been closed
                break
            output += part
    os.close(terminal)
    return output.decode(errors="replace")


@pytest.mark.slow
def test_only_one_module_calls_from_pretrained_and_none_reads_pickles() -> None:
    calls: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                words = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert words.get("trust_remote_code", "False") == "False", path
                assert words.get("allow_pickle", "False") == "False", path
                assert called not in ("torch.load", "pickle.load", "pickle.loads"), path
                if called.endswith((".from_pretrained", ".from_config")):
                    calls.setdefault(path.name, []).append(ast.unparse(node))
    assert set(calls) == {"pretrained.py"}
    assert all("trust_remote_code=False" in call or "**_LOCAL_WITHOUT_CODE" in call for call in calls["pretrained.py"])


@pytest.mark.parametrize("kind", ["align", "clip"])
def test_pickled_weights_are_refused_by_name(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(OpenAlignError, match=r"only as pytorch_model\.bin, a format that can run code|no such file"):
        load(folder)


@pytest.mark.parametrize(
    "shard", ["pytorch_model.bin", "../model.safetensors", "/etc/x.safetensors", "a/b.safetensors"]
)
def test_an_index_of_weights_names_only_safetensors_files_of_its_folder(clip: Path, shard: str) -> None:
    weights = load_file(clip / "model.safetensors")
    (clip / "model.safetensors").rename(clip.parent / "model.safetensors")
    torch.save(weights, clip / "pytorch_model.bin")
    index = clip / "model.safetensors.index.json"
    index.write_text("{}")
    edit(index, lambda content: content.update(metadata={}, weight_map=dict.fromkeys(weights, shard)))
    with pytest.raises(OpenAlignError, match="no safetensors file of this folder"):
        load(clip)


def test_an_index_without_names_is_refused(clip: Path) -> None:
    (clip / "model.safetensors").unlink()
    (clip / "model.safetensors.index.json").write_text('{"weight_map": []}')
    with pytest.raises(OpenAlignError, match="no `weight_map`"):
        load(clip)


def test_an_adapter_is_refused_before_its_base_model_is_fetched(clip: Path) -> None:
    (clip / "adapter_config.json").write_text('{"base_model_name_or_path": "org/repo"}')
    with pytest.raises(OpenAlignError, match=r"is an adapter \(adapter_config\.json\)"):
        load(clip)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("transformers_weights", "adapter_model.bin"),
        ("quantization_config", {"quant_method": "gptq"}),
        ("attn_implementation", "org/repo"),
        ("text_config._attn_implementation", "flash_attention_2"),
        ("vision_config.attn_implementation", {"": "org/repo:kernel"}),
        ("vision_config.use_pretrained_backbone", True),
    ],
)
def test_a_configuration_that_takes_something_from_elsewhere_is_refused(clip: Path, key: str, value: object) -> None:
    put(clip / "config.json", key, value)
    with pytest.raises(OpenAlignError, match=rf"config\.json: `{key}"):
        load(clip)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("opened", [load, load_align])
def test_only_regular_files_are_opened(align: Path, name: str, opened) -> None:  # type: ignore[no-untyped-def]
    (align / name).unlink()
    (align / name).symlink_to("/dev/null")
    with pytest.raises(OpenAlignError, match=rf"{name}: is not a regular file"):
        opened(align)


def test_a_dangling_link_is_named(clip: Path) -> None:
    (clip / "preprocessor_config.json").unlink()
    (clip / "preprocessor_config.json").symlink_to("nowhere")
    with pytest.raises(OpenAlignError, match=r"preprocessor_config\.json: cannot be read \(No such file"):
        load(clip)


@pytest.mark.parametrize(("name", "most"), [("config.json", MOST_BYTES), ("tokenizer.json", MOST_TOKENIZER_BYTES)])
def test_a_file_of_gigabytes_is_not_read(align: Path, name: str, most: int) -> None:
    os.truncate(align / name, most + 1)
    with pytest.raises(OpenAlignError, match=rf"{name}: has [\d,]+ bytes; at most [\d,]+ are read"):
        load(align)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("[]", "must hold a JSON object .* not a list"),
        ("null", "not null"),
        ("3", "not a number"),
        ('"x"', "not a text"),
        ("", "cannot be read as JSON"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"a": 1, "a": 2}', "`a` occurs twice"),
        ("[" * 100_000, "nested deeper than 64"),
        ('{"a":' * 70 + "1" + "}" * 70, "nested deeper than 64"),
        ("{}", "cannot be loaded|config.json"),
    ],
)
@pytest.mark.parametrize("kind", ["align", "clip"])
def test_a_config_that_is_no_configuration_is_refused(
    content: str, match: str, kind: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    (folder / "config.json").write_text(content)
    with pytest.raises(OpenAlignError, match=match):
        load(folder)
    with pytest.raises(OpenAlignError):
        load_align(folder)


@pytest.mark.parametrize("kind", ["align", "clip"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(
    kind: str, number: float, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    weights = load_file(folder / "model.safetensors")
    name = "text_model.embeddings.position_embedding.weight"
    name = name if name in weights else "text_model.embeddings.position_embeddings.weight"
    weights[name].view(-1)[7] = number
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OpenAlignError, match=rf"`{name}` holds NaN or infinity"):
        load(folder)


def test_finite_weights_with_infinite_embeddings_are_an_error(clip: Path) -> None:
    weights = load_file(clip / "model.safetensors")
    for name in weights:
        if name.startswith("text_model"):
            weights[name].fill_(3e38)
    save_file(weights, clip / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OpenAlignError, match="embeddings that are not finite"):
        load(clip)


@pytest.mark.parametrize("temperature", [0.0, -0.5])
def test_a_temperature_that_is_not_above_0_is_refused(align: Path, clip: Path, temperature: float) -> None:
    weights = load_file(align / "model.safetensors")
    weights["temperature"].fill_(temperature)
    save_file(weights, align / "model.safetensors")
    with pytest.raises(OpenAlignError, match=r"`temperature` = .* it must be above 0"):
        load(align)
    weights = load_file(clip / "model.safetensors")
    weights["logit_scale"].fill_(1e4)
    save_file(weights, clip / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OpenAlignError, match="temperature is 0; it must be a number above 0"):
        load(clip)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
@pytest.mark.parametrize("kind", ["align", "clip"])
def test_weights_of_eight_bits_are_refused(kind: str, dtype: torch.dtype, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    weights = load_file(folder / "model.safetensors")
    name = min(name for name in weights if name.endswith("weight"))
    weights[name] = weights[name].to(dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OpenAlignError, match=rf"`{name}` holds numbers of the kind"):
        load(folder)


@pytest.mark.parametrize("kind", ["align", "clip"])
@pytest.mark.parametrize("size", [0, 5, 1000, -1])
def test_cut_weights_are_refused(kind: str, size: int, request: pytest.FixtureRequest) -> None:
    weights = request.getfixturevalue(kind) / "model.safetensors"
    os.truncate(weights, size % weights.stat().st_size)
    with pytest.raises(OpenAlignError, match=r"model\.safetensors: damaged"):
        load(weights.parent)


def test_a_tensor_that_transformers_would_make_up_is_missed(clip: Path) -> None:
    weights = load_file(clip / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, clip / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OpenAlignError, match=r"holds no tensor `visual_projection\.weight`"):
        load(clip)


def test_a_tokenizer_that_cannot_pad_is_refused_at_once(clip: Path) -> None:
    edit(clip / "tokenizer_config.json", lambda content: content.pop("pad_token"))
    edit(clip / "tokenizer.json", lambda content: content.update(padding=None))
    with pytest.raises(OpenAlignError, match=r"its tokenizer failed over a text .*padding token"):
        load(clip)


@pytest.mark.parametrize("kind", ["align", "clip"])
def test_a_text_with_half_a_character_has_the_vector_of_one_with_an_unknown_character(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model = load(request.getfixturevalue(kind))
    half, unknown = model.embed_texts(["a red \ud83d apple"]), model.embed_texts(["a red \ufffd apple"])
    assert (half == unknown).all()


@pytest.mark.parametrize("kind", ["align", "clip"])
def test_an_image_that_is_no_regular_file_is_refused_unopened(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = load(request.getfixturevalue(kind))
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "link.jpg").symlink_to("fifo.jpg")
    for odd in (tmp_path / "fifo.jpg", tmp_path / "link.jpg", Path("/dev/zero"), tmp_path):
        with pytest.raises(OpenAlignError, match=rf"{odd}: is not a regular file"):
            model.embed_images([odd])
    with (tmp_path / "large.jpg").open("wb") as large:
        large.truncate(MOST_IMAGE_BYTES + 1)
    with pytest.raises(OpenAlignError, match=r"large\.jpg: has [\d,]+ bytes; at most"):
        model.embed_images([tmp_path / "large.jpg"])


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "no such\0name", "../nowhere at all"])
def test_a_name_that_is_none_is_an_error_message(name: str) -> None:
    with pytest.raises(OpenAlignError, match=r"cannot be read|neither a folder nor a model"):
        load(name)
    with pytest.raises(OpenAlignError, match="could not be read as an image-classification model"):
        open_classifier(name, ("nsfw",), "unsafe_images", "unsafe_labels")
