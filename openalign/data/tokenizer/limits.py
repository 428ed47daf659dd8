"""Limits on an untrusted tokenizer.json: no unknown component, and no text that grows or takes time without bound.

A file of a kilobyte can turn one character into a billion, with nine rules that each replace one character by ten. So
the rules are read as JSON and their growth is bounded before the tokenizers library loads the file. Decoders are not
checked, because nothing here converts ids back to text.
"""

import base64
import binascii
import unicodedata
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from openalign.data.files.json_files import check_file, read_object
from openalign.data.files.library_errors import library_errors
from openalign.errors import OpenAlignError

MOST_TOKENIZER_BYTES = 100 * 2**20
"""Largest tokenizer.json that is read; that of Gemma, with 262,144 entries, has 33 MB."""
MOST_GROWTH = 32
"""Characters that one character may become, apart from Unicode normalisation; 8 by CLIP's rules, 4 by T5's."""
MOST_CHARSMAP_CHARACTERS = 18
"""Longest replacement in a `precompiled_charsmap`: that of U+FDFA in NFKC, which all published ones have."""
MOST_STEPS = 32
MOST_PATTERN = 2**18
"""Length of a regular expression; the longest published one has about 1,500 characters, but ours list Han ones."""
MOST_ADDED_IDS = 64
"""Ids that post-processors add to a text; published ones add 1 to 3."""
MOST_ADDED_TOKENS = 2**16
MOST_WORD = 1000
"""Longest word that WordPiece splits, which takes quadratic time; published ones allow 100 characters."""
MOST_AFFIX = 64
MOST_PADDING = 2**16

_NORMALIZERS = {
    "Sequence", "BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Nmt",
    "Precompiled", "Replace", "Prepend", "ByteLevel",
}  # fmt: skip
_PRE_TOKENIZERS = {
    "Sequence", "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Delimiter", "Digits", "FixedLength",
    "Metaspace", "Punctuation", "Split", "UnicodeScripts", "Whitespace", "WhitespaceSplit",
}  # fmt: skip
_POST_PROCESSORS = {"Sequence", "BertProcessing", "ByteLevel", "RobertaProcessing", "TemplateProcessing"}
_MODELS = {"BPE", "Unigram", "WordLevel", "WordPiece", None}
"""None: files from 2020 do not give the type."""
_BYTES_PER_CHARACTER = 4
"""ByteLevel writes a character for each byte."""


def check_tokenizer(path: Path) -> None:
    """Check a `tokenizer.json` before the tokenizers library loads it.

    Raises:
        OpenAlignError: the file is not JSON, has a component of a type that no published tokenizer has, or rules by
            which a text could grow or take time without bound.
    """
    content = read_object(path, MOST_TOKENIZER_BYTES)
    try:
        normalizers = list(_steps(content.get("normalizer"), "normalizers", _NORMALIZERS))
        pre_tokenizers = list(_steps(content.get("pre_tokenizer"), "pretokenizers", _PRE_TOKENIZERS))
        post_processors = list(_steps(content.get("post_processor"), "processors", _POST_PROCESSORS))
        growth = 1.0
        for step in normalizers + pre_tokenizers:
            growth *= _growth(step)
        if not growth <= MOST_GROWTH:
            raise _Refused(f"its rules may turn one character into {growth:,.0f}, at most {MOST_GROWTH} are allowed")
        if (added := sum(map(_added_ids, post_processors))) > MOST_ADDED_IDS:
            raise _Refused(f"it adds {added:,} ids to every text, at most {MOST_ADDED_IDS} are allowed")
        _check_model(content.get("model"))
        _check_rest(content)
    except _Refused as error:
        raise OpenAlignError(f"{path} is not a supported tokenizer: {error}.") from None


def check_sentencepiece(path: Path) -> None:
    """Check a SentencePiece model (`spiece.model`) before its library loads it.

    Raises:
        OpenAlignError: the file is damaged or of another kind, or has a rule by which a text could grow without bound.
    """
    check_file(path, MOST_TOKENIZER_BYTES)
    with library_errors(f"{path} is not a SentencePiece model"):
        format_of: Any = import_module("sentencepiece.sentencepiece_model_pb2")
        model = format_of.ModelProto.FromString(path.read_bytes())
    try:
        if not model.pieces:
            raise _Refused("it has no pieces")
        _check_replacements(model.normalizer_spec.precompiled_charsmap)
    except _Refused as error:
        raise OpenAlignError(f"{path} is not a supported tokenizer: {error}.") from None


class _Refused(Exception):
    """The reason to refuse a tokenizer, without the name of the file."""


def _steps(component: Any, nested: str, known: set[str]) -> Iterator[dict[str, Any]]:
    """The steps of a component in order, nested sequences flattened."""
    waiting, count = [component], 0
    while waiting:
        step = waiting.pop()
        if step is None:
            continue
        kind = step.get("type") if isinstance(step, dict) else None
        if not isinstance(kind, str) or kind not in known:
            raise _Refused(f"{nested} of the type {str(kind)[:60]!r} are not supported")
        count += 1
        if count > MOST_STEPS:
            raise _Refused(f"it has more than {MOST_STEPS} {nested}")
        if kind == "Sequence":
            waiting += reversed(_list(step.get(nested), nested))
        else:
            yield step


def _growth(step: dict[str, Any]) -> float:
    """The largest number of characters that a normalizer or pre-tokenizer may turn one into."""
    match step["type"]:
        case "Replace":
            pattern, added = _pattern(step), _length(step.get("content"), "content")
            # An empty pattern or match inserts the content at every character.
            return max(1.0, added / _length(pattern, "pattern")) if pattern else 1.0 + added
        case "Prepend":  # once per piece between two added tokens
            return 1.0 + _length(step.get("prepend"), "prepend")
        case "BertNormalizer":  # a space on both sides of a Chinese character
            return 3.0
        case "ByteLevel":
            return _BYTES_PER_CHARACTER * (2 if step.get("add_prefix_space") else 1)
        case "Metaspace":  # once per piece
            return 1.0 + _length(step.get("replacement"), "replacement")
        case "Precompiled":
            _check_charsmap(step.get("precompiled_charsmap"))
        case "Split":
            _pattern(step)
        case "FixedLength":
            _number(step.get("length"), 1, MOST_PADDING, "length")
    return 1.0


def _pattern(step: dict[str, Any]) -> str:
    """The text that a rule searches; "" for a regular expression, which may match the empty string."""
    pattern = step.get("pattern")
    if isinstance(pattern, dict) and list(pattern) == ["String"]:
        return _text(pattern["String"], "pattern")
    if not isinstance(pattern, dict) or list(pattern) != ["Regex"]:
        raise _Refused("a `pattern` must be a `String` or a `Regex`")
    if len(_text(pattern["Regex"], "pattern")) > MOST_PATTERN:
        raise _Refused(f"a regular expression has more than {MOST_PATTERN:,} characters")
    return ""


def _length(text: Any, name: str) -> int:
    """Length of a text after NFKD decomposition, which a later step may apply."""
    return len(unicodedata.normalize("NFKD", _text(text, name)))


def _check_charsmap(encoded: Any) -> None:
    if encoded is None:
        return
    try:
        content = base64.b64decode(_text(encoded, "precompiled_charsmap"), validate=True)
    except (binascii.Error, ValueError):
        raise _Refused("its `precompiled_charsmap` is not base64") from None
    _check_replacements(content)


def _check_replacements(content: bytes) -> None:
    """Check a SentencePiece map: the size of its trie (4 bytes), the trie, and texts that end with a zero byte each."""
    texts = content[4 + int.from_bytes(content[:4], "little") :]
    longest = max((_length(text.decode(errors="replace"), "text") for text in texts.split(b"\0")), default=0)
    if longest > MOST_CHARSMAP_CHARACTERS:
        raise _Refused(
            f"its `precompiled_charsmap` turns a character into {longest:,}, at most {MOST_CHARSMAP_CHARACTERS} are "
            "allowed"
        )


def _added_ids(step: dict[str, Any]) -> int:
    """The number of ids that a post-processor adds to a text."""
    if step["type"] != "TemplateProcessing":
        return 2
    tokens = step.get("special_tokens") or {}
    if not isinstance(tokens, dict):
        raise _Refused("`special_tokens` must be an object")
    return max(_ids_of_template(_list(step.get(name), name), tokens) for name in ("single", "pair"))


def _ids_of_template(template: list[Any], tokens: dict[str, Any]) -> int:
    added, texts = 0, []
    for piece in template:
        ((kind, what),) = piece.items() if isinstance(piece, dict) and len(piece) == 1 else [("", None)]
        name = what.get("id") if isinstance(what, dict) else None
        if kind not in ("SpecialToken", "Sequence") or not isinstance(name, str):
            raise _Refused("a template must consist of `SpecialToken` and `Sequence`")
        if kind == "Sequence":
            texts.append(name)
        else:
            token = tokens.get(name)
            added += len(_list(token.get("ids") if isinstance(token, dict) else None, "ids"))
    if len(set(texts)) < len(texts):
        raise _Refused("a template repeats the text")
    return added


def _check_model(model: Any) -> None:
    kind = model.get("type") if isinstance(model, dict) else "none"
    if not isinstance(kind, str | None) or kind not in _MODELS:
        raise _Refused(f"a model of the type {str(kind)[:60]!r} is not supported")
    if model.get("max_input_chars_per_word") is not None:
        _number(model["max_input_chars_per_word"], 1, MOST_WORD, "max_input_chars_per_word")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):  # added to every candidate piece
        if model.get(name) is not None and len(_text(model[name], name)) > MOST_AFFIX:
            raise _Refused(f"`{name}` has more than {MOST_AFFIX} characters")


def _check_rest(content: dict[str, Any]) -> None:
    if (tokens := content.get("added_tokens")) is not None:
        _number(len(_list(tokens, "added_tokens")), 0, MOST_ADDED_TOKENS, "added_tokens")
    padding = content.get("padding")
    if isinstance(padding, dict):
        strategy = padding.get("strategy")
        for name, size in [
            ("pad_to_multiple_of", padding.get("pad_to_multiple_of")),
            *(strategy.items() if isinstance(strategy, dict) else ()),
        ]:
            if size is not None:
                _number(size, 0, MOST_PADDING, name)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _Refused(f"`{name}` must be a text")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Refused(f"`{name}` must be a list")
    return value


def _number(value: Any, least: int, most: int, name: str) -> None:
    if type(value) is not int or not least <= value <= most:
        raise _Refused(f"`{name}` = {str(value)[:60]}, must be a whole number from {least} to {most:,}")
