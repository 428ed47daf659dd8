#!/usr/bin/env bash
# What can only be measured on a GPU: the tests that use one, training steps, peers' steps, and the loss's kernels.
#
#   PEER=peer/bin/python bash bench/gpu.sh       results go to bench/results, a part at a time
#
# Needs torch with CUDA and triton, transformers, and nothing of curation, search or service. PEER is a Python with
# open_clip (bench/README.md); without it the peers are dense torch and transformers' AlignModel.
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
python=${PYTHON:-python3}
peer=${PEER:+--peer-python $PEER}

part() { echo "== $* (at ${SECONDS} s)"; timeout "${LIMIT:-300}" "$@" || echo "== ended with $?"; }
part nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
part "$python" -m pytest -q tests/model/loss/test_triton.py tests/training/test_on_gpu.py
part "$python" bench/loss.py --device cuda $peer
part "$python" bench/gpu_step.py --seconds 150
part "$python" bench/gpu_step.py --seconds 150 --compile
part "$python" bench/train_step.py --device cuda --rounds 1 $peer
echo "== done (at ${SECONDS} s)"
