"""Word pieces of scripts: how many a text takes, and how many are unknown, beside WordPiece as BERT splits texts.

    python bench/pieces.py ../shared/data

The names of emoji in 77 languages: both vocabularies are learned from the names of the training emoji, and encode those
of the others, and for scripts that put no space between words also ten of these after one another.
"""

import argparse
import gzip
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import tokenizers
from measure import show, write
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from openalign.data.tokenizer import train_tokenizer
from openalign.data.tokenizer.vocabulary import SPECIAL

UNSPACED = ("th", "lo", "km", "my", "ja", "zh")
LANGUAGES = (*UNSPACED, "ko", "fa", "hi", "ta", "ka", "tr", "vi", "de", "en")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=30_000)
    options = parser.parse_args()
    names = names_of(options.data / "emoji" / "pairs.jsonl.gz")
    learned = [name for each in names["train"].values() for name in each]
    with tempfile.TemporaryDirectory() as folder:
        file = train_tokenizer(learned, Path(folder) / "tokenizer.json", size=options.size)
        ours = tokenizers.Tokenizer.from_file(str(file))
    bert = of_bert(learned, options.size)
    rows = [row_of(language, names["test"][language], ours, bert) for language in (*LANGUAGES, "all")]
    rows += [row_of(f"{language}, ten in a run", in_runs(names["test"][language]), ours, bert) for language in UNSPACED]
    show(f"{len(learned):,} names with {options.size:,} pieces", rows)
    print(f"Wrote {write('pieces', rows, learned=len(learned), size=options.size)}")


def names_of(path: Path) -> dict[str, dict[str, list[str]]]:
    """Part (train, test) -> language, or all -> distinct names."""
    found: dict[str, dict[str, dict[str, None]]] = {part: defaultdict(dict) for part in ("train", "test")}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            part = "train" if row["split"] == "train" else "test"
            for language, texts in row["texts"].items():
                found[part][language][texts[0]] = found[part]["all"][texts[0]] = None
    return {part: {language: list(names) for language, names in each.items()} for part, each in found.items()}


def in_runs(names: list[str]) -> list[str]:
    """Ten names after one another without a space, as a sentence of such a script is written."""
    return ["".join(names[at : at + 10]).replace(" ", "") for at in range(0, len(names) - 9, 10)]


def of_bert(texts: list[str], size: int) -> tokenizers.Tokenizer:
    """WordPiece with multilingual BERT's normaliser and splitter, accents kept."""
    plain = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    plain.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.BertNormalizer(strip_accents=False)])
    plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    plain.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(SPECIAL)))
    ends = [(token, plain.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    plain.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return plain


def row_of(language: str, texts: list[str], ours: tokenizers.Tokenizer, bert: tokenizers.Tokenizer) -> dict[str, Any]:
    row: dict[str, Any] = {"language": language, "texts": len(texts)}
    for name, tokenizer in (("openalign", ours), ("BERT", bert)):
        pieces = [encoding.tokens[1:-1] for encoding in tokenizer.encode_batch(texts)]
        row[f"{name}, pieces"] = round(sum(map(len, pieces)) / len(texts), 2)
        row[f"{name}, texts with [UNK]"] = round(sum("[UNK]" in each for each in pieces) / len(texts), 4)
    return row


if __name__ == "__main__":
    main()
