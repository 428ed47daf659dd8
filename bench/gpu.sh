#!/usr/bin/env bash
# What can only be measured on a GPU: the tests that use one, training steps at three sizes, and the loss kernel.
#
#   bash bench/gpu.sh [FOLDER]        results go to FOLDER (default bench/results/gpu); about 8 minutes on one H100
#
# Needs torch with CUDA and triton, transformers, and nothing of curation, search or service.
set -uo pipefail
cd "$(dirname "$0")/.."
to="${1:-bench/results/gpu}"
mkdir -p "$to"
export PYTHONPATH="$PWD"
python=${PYTHON:-python3}

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee "$to/device.txt"
$python -m pytest -q tests/model tests/train/test_step.py -x --ignore=tests/model/test_export.py 2>&1 | tee "$to/tests.txt" | tail -3

steps="$to/steps.jsonl"
: > "$steps"
step() { timeout 150 $python bench/peers/gpu_step.py "$@" 2>"$to/error.txt" | tail -1 | tee -a "$steps" || tail -3 "$to/error.txt"; }
step b0 mini 224 2048 2048
step b0 mini 289 4096 1024
step b3 mini 289 2048 512
step b3 mini 289 2048 512 --compile
step b7 base 289 1024 128
step b7 base 289 1024 256 --recompute
step b7 base 289 16384 128

$python bench/loss.py --device cuda 2>&1 | tee "$to/loss.txt"
