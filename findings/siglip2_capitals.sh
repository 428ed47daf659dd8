#!/usr/bin/env bash
# `AutoTokenizer` of transformers keeps capital letters for the SigLIP 2 models of one image size, which were trained on
# lower-case texts; for the NaFlex models of the same family it puts texts in lower case.
#
# Expected: the same ids for the same text in both, those of the text in lower case.
# Seen:     a folder of one image size says `"model_type": "siglip"` and `"tokenizer_class": "GemmaTokenizerFast"`, as
#           published; its tokenizer gives "A Photo" other ids than "a photo". With `"model_type": "siglip2"` (NaFlex)
#           both have the same ids.
# Why:      only the type `siglip2` is on the list of those whose stated tokenizer is replaced, by `Siglip2Tokenizer`.
# What helps: a step to lower case in front of the tokenizer (openalign/model/foreign/text_inputs.py), or loading it with
#           `Siglip2Tokenizer.from_pretrained`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 sentencepiece==0.2.3
cat > "$folder/capitals.py" <<'PYTHON'
import json
import platform
import sys
from pathlib import Path

import tokenizers
import transformers
from tokenizers import models, normalizers
from transformers import AutoTokenizer

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]


def saved(folder: Path, kind: str) -> Path:
    """A folder as published, with one entry for each letter."""
    folder.mkdir()
    entries = [*SPECIAL, "▁", *"APaphot"]
    tokenizer = tokenizers.Tokenizer(
        models.BPE(vocab={entry: number for number, entry in enumerate(entries)}, merges=[], unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    names = {f"{token.strip('<>')}_token": token for token in SPECIAL}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GemmaTokenizerFast", **names}))
    return folder


def main(root: Path) -> None:
    print("python", platform.python_version(), "transformers", transformers.__version__)
    same = {}
    for kind in ("siglip", "siglip2"):
        tokenizer = AutoTokenizer.from_pretrained(saved(root / kind, kind))
        capital, small = tokenizer("A Photo").input_ids, tokenizer("a photo").input_ids
        same[kind] = capital == small
        print(f"{kind}: {type(tokenizer).__name__} gives {capital} for 'A Photo' and {small} for 'a photo'")
    if same != {"siglip": False, "siglip2": True}:
        print("this is no longer what the script says")
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
PYTHON
"$folder/venv/bin/python" "$folder/capitals.py" "$folder"
