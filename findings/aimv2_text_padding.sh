#!/usr/bin/env bash
# AIMv2 in transformers gives a text another vector when a longer text is in the same batch.
#
# Expected: padding is masked, so the vector of a text is the same alone and beside others, up to rounding.
# Seen:     alone (no padding in the batch) every word piece attends to those after it as well; beside a longer text it
#           attends to those before it only. The vectors differ by as much as those of two texts do. With
#           `attn_implementation="eager"` both are the same.
# Why:      a mask of ones is dropped for PyTorch's attention, which is then expected to be causal by itself; the layers
#           of AIMv2 do not declare that they are.
# What helps: embedding a text both ways once, and `set_attn_implementation("eager")` if the vectors differ
#           (openalign/model/foreign/transformers_encoder.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6
cat > "$folder/padding.py" <<'PYTHON'
import platform
import sys

import torch
import transformers
from transformers import Aimv2TextConfig, Aimv2TextModel

SHORT, LONGER = [2, 5, 6, 3], [2, 7, 8, 9, 10, 3]  # 2 begins a text, 3 ends it, 0 is padding


def vector(model: Aimv2TextModel, *texts: list[int]) -> torch.Tensor:
    """The vector of the first text, embedded with the others as one padded batch."""
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=(ids != 0).long()).pooler_output[0]


def main() -> None:
    print("python", platform.python_version(), "torch", torch.__version__, "transformers", transformers.__version__)
    config = Aimv2TextConfig(
        vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )
    torch.manual_seed(0)
    model = Aimv2TextModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    differences = {}
    for kind in ("sdpa", "eager"):
        model.set_attn_implementation(kind)
        differences[kind] = float((vector(model, SHORT) - vector(model, SHORT, LONGER)).abs().max())
        print(f"{kind}: the vector alone and beside a longer text differ by {differences[kind]:.2g}")
    if not (differences["sdpa"] > 0.01 and differences["eager"] < 1e-5):
        print("this is no longer what the script says")
        sys.exit(1)


if __name__ == "__main__":
    main()
PYTHON
"$folder/venv/bin/python" "$folder/padding.py"
