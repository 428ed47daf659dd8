#!/usr/bin/env bash
# `AutoTokenizer` of transformers takes the words of a BERT's tokenizer.json, but not what the file says about capital
# letters: tokenizer_config.json decides, and where it says nothing, texts are put in lower case.
#
# Expected: tokenizer.json is complete, so the tokenizers library and transformers give a text the same ids.
# Seen:     with `"lowercase": false` in tokenizer.json and nothing in tokenizer_config.json, "Red" has the ids of "red".
# Why:      classes with an `__init__` of their own are built anew from the vocabulary; normalizer and pre-tokenizer of
#           the file are left out.
# What helps: `"do_lower_case": false` in tokenizer_config.json, or `"tokenizer_class": "PreTrainedTokenizerFast"` there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0
cat > "$folder/normalizer.py" <<'PYTHON'
import json
import platform
import sys
from pathlib import Path

import tokenizers
import transformers
from tokenizers import models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

ENTRIES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "Red"]


def main(folder: Path) -> None:
    print("python", platform.python_version(), "transformers", transformers.__version__)
    vocabulary = {entry: number for number, entry in enumerate(ENTRIES)}
    cased = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    cased.normalizer = normalizers.BertNormalizer(lowercase=False)
    cased.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cased.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    theirs = AutoTokenizer.from_pretrained(folder)("Red", add_special_tokens=False).input_ids
    print(f"tokenizers: {cased.encode('Red').ids}, transformers: {theirs}")
    if not (cased.encode("Red").ids == [6] and theirs == [5]):
        print("this is no longer what the script says")
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
PYTHON
"$folder/venv/bin/python" "$folder/normalizer.py" "$folder"
