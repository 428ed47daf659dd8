"""Limits of an untrusted tokenizer.json: published tokenizers pass, the rest is refused before the library loads it.

Nothing here that is refused is given to the library.
"""

import base64
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from openalign.data.tokenizer.limits import MOST_CHARSMAP_CHARACTERS, check_tokenizer
from openalign.data.tokenizer.wordpiece import Tokenizer, train_tokenizer
from openalign.errors import OpenAlignError
from openalign.model.pretrained import load_tokenizer

PUBLISHED = [
    "Albert", "Bert", "CLIP", "Camembert", "Cohere", "DebertaV2", "Deberta", "DistilBert", "Electra", "GPT2",
    "GPTNeoX", "Gemma", "Llama", "MBart", "MPNet", "NllbTokenizer", "Qwen2", "RemBert", "Roberta", "SeamlessM4T",
    "Siglip2", "T5", "XGLM", "XLMRoberta", "XLNet",
]  # fmt: skip


def charsmap(*texts: str) -> str:
    """A `precompiled_charsmap` with a trie of zeros, and these texts."""
    trie = bytes(1024)
    content = b"".join(f"{text}\0".encode() for text in texts)
    return base64.b64encode(len(trie).to_bytes(4, "little") + trie + content).decode()


def replaced(pattern: str, content: str, kind: str = "String") -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def sequence(*steps: dict[str, Any], nested: str = "normalizers") -> dict[str, Any]:
    return {"type": "Sequence", nested: list(steps)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return train_tokenizer(["a red apple"], tmp_path / "tokenizer.json", size=60)


def with_component(file: Path, name: str, component: object) -> Path:
    """A copy of `file` with one of its components replaced, without the checksum beside it."""
    content = json.loads(file.read_text())
    *outer, last = name.split(".")
    inner = content
    for key in outer:
        inner = inner[key]
    inner[last] = component
    changed = file.parent / "changed" / "tokenizer.json"
    changed.parent.mkdir(exist_ok=True)
    changed.write_text(json.dumps(content))
    return changed


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_rules_of_published_tokenizers_pass(name: str, tmp_path: Path) -> None:
    kind = getattr(transformers, name if name.endswith("Tokenizer") else f"{name}TokenizerFast", None)
    kind = kind or getattr(transformers, f"{name}Tokenizer")
    kind().backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    check_tokenizer(tmp_path / "tokenizer.json")


def test_the_rules_of_siglip_and_xlm_r_as_published_pass(file: Path) -> None:
    longest = unicodedata.normalize("NFKC", "\ufdfa")
    map_of_nfkc = {"type": "Precompiled", "precompiled_charsmap": charsmap("a", longest)}
    check_tokenizer(with_component(file, "normalizer", sequence(map_of_nfkc, replaced(" {2,}", " ", "Regex"))))
    siglip = sequence(
        {"type": "Lowercase"},
        replaced("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]", "", "Regex"),
        replaced("\\s+", " ", "Regex"),
        {"type": "Strip", "strip_left": True, "strip_right": True},
        map_of_nfkc,
        replaced(" {2,}", "▁", "Regex"),
    )
    check_tokenizer(with_component(file, "normalizer", siglip))


REFUSED = {
    "growth by texts": ("normalizer", sequence(*[replaced("a", "a" * 10)] * 9), "one character into 1,000,000,000"),
    "growth of little steps": ("normalizer", sequence(*[replaced("ab", "aaba")] * 6), "into 64"),
    "growth in a sequence in a sequence": (
        "normalizer",
        sequence(sequence(sequence(replaced("a", "bbbbbb")), replaced("b", "aaaaaa"))),
        "into 36",
    ),
    "a pattern that matches nothing": ("normalizer", replaced("q*", "x" * 40, "Regex"), "into 41"),
    "an empty pattern": ("normalizer", replaced("", "x" * 40), "into 41"),
    "a character that other steps take apart": (
        "normalizer",
        sequence(replaced("a", "\ufdfa"), {"type": "NFKC"}, replaced("\u0627", "\ufdfa"), {"type": "NFKC"}),
        "into 324",
    ),
    "a long prefix": ("normalizer", {"type": "Prepend", "prepend": "x" * 10_000_000}, "into 10,000,001"),
    "a long text in a map": (
        "normalizer",
        {"type": "Precompiled", "precompiled_charsmap": charsmap("a", "x" * (MOST_CHARSMAP_CHARACTERS + 1))},
        "turns a character into 19",
    ),
    "a map that is none": ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "%"}, "not base64"),
    "many steps": ("normalizer", sequence(*[{"type": "NFC"}] * 33), "more than 32 normalizers"),
    "bytes of bytes": (
        "pre_tokenizer",
        sequence(*[{"type": "ByteLevel", "add_prefix_space": False}] * 3, nested="pretokenizers"),
        "into 128",
    ),
    "marks before every piece": (
        "pre_tokenizer",
        sequence(*[{"type": "Metaspace", "replacement": "_"}] * 6, nested="pretokenizers"),
        "into 128",
    ),
    "a long pattern": (
        "pre_tokenizer",
        {"type": "Split", "pattern": {"Regex": "a|" * 150_000}, "behavior": "Isolated", "invert": False},
        "more than 262,144 characters",
    ),
    "pieces of no length": ("pre_tokenizer", {"type": "FixedLength", "length": 0}, "`length` = 0"),
    "an unknown step": ("normalizer", {"type": "Custom"}, "of the type 'Custom' are not supported"),
    "a step without a type": ("pre_tokenizer", {}, "of the type 'None'"),
    "a list in place of a step": ("normalizer", [], "of the type 'None'"),
    "a rule without a pattern": ("normalizer", {"type": "Replace", "content": "a"}, "`String` or a `Regex`"),
    "two patterns": (
        "normalizer",
        {"type": "Replace", "pattern": {"String": "aaaa", "Regex": ""}, "content": "bbbb"},
        "`String` or a `Regex`",
    ),
    "many ids around a text": (
        "post_processor",
        {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "x", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"x": {"id": "x", "ids": [1] * 1000, "tokens": ["x"] * 1000}},
        },
        "adds 1,000 ids to every text",
    ),
    "a repeated text": (
        "post_processor",
        {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 2,
            "pair": [],
            "special_tokens": {},
        },
        "repeats the text",
    ),
    "long words": ("model.max_input_chars_per_word", 10**9, "`max_input_chars_per_word` = 1000000000"),
    "a long prefix of pieces": ("model.continuing_subword_prefix", "#" * 1000, "more than 64 characters"),
    "an unknown model": ("model.type", "Mine", "a model of the type 'Mine'"),
    "no model": ("model", None, "a model of the type 'none'"),
    "wide padding": ("padding", {"strategy": {"Fixed": 10**9}}, "`Fixed` = 1000000000"),
    "a large multiple": ("padding", {"strategy": "BatchLongest", "pad_to_multiple_of": 10**9}, "`pad_to_multiple_of`"),
    "many added tokens": ("added_tokens", [{}] * 70_000, "`added_tokens` = 70000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_more_is_refused_before_the_library_sees_it(
    name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    component, value, message = REFUSED[name]
    changed = with_component(file, component, value)
    monkeypatch.setattr(tokenizers, "Tokenizer", None)
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", None)
    with pytest.raises(OpenAlignError, match=r"changed/tokenizer\.json is not a supported tokenizer: .*") as raised:
        Tokenizer.load(changed)
    assert message in str(raised.value)
    with pytest.raises(OpenAlignError, match="is not a supported tokenizer"):
        load_tokenizer(changed.parent)


def test_a_tokenizer_file_of_another_name_or_format_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", None)
    (file.parent / "tokenizer_config.json").write_text('{"fast_tokenizer_files": ["tokenizer.4.0.0.json"]}')
    with pytest.raises(OpenAlignError, match="`fast_tokenizer_files` is not supported"):
        load_tokenizer(file.parent)
    file.rename(file.parent / "spiece.model")
    with pytest.raises(OpenAlignError, match=r"spiece\.model is not a SentencePiece model"):
        load_tokenizer(file.parent)


def test_the_counted_growth_is_at_least_the_real_one() -> None:
    """The bounds agree with the library on rules by which a text grows a little."""
    assert normalizers.Replace("", "ab").normalize_str("xyz") == "abxabyabzab"
    assert normalizers.Replace(Regex("q*"), "ab").normalize_str("xyz") == "abxabyabzab"
    assert len(pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("\U0001f34e")[0][0]) == 4
    assert pre_tokenizers.Metaspace(prepend_scheme="always").pre_tokenize_str("a")[0][0] == "▁a"
    chinese = normalizers.BertNormalizer(lowercase=False).normalize_str("苹")
    assert chinese == " 苹 "
    tokenizer = tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.post_processor = processors.RobertaProcessing(("b", 1), ("b", 1))
    assert len(tokenizer.encode("a").ids) == 3
