#!/usr/bin/env bash
# `gc.freeze()`, which Python documents for programs that fork, makes DuckDB print a page about leaks when Python ends.
#
# Expected: nothing is printed. `gc.freeze` moves the objects that exist into a generation that is not collected, so that
#           forked processes share their pages; it changes nothing else.
# Seen:     "nanobind: leaked N instances!" and further lines on standard error, as if the program had a fault.
# Why:      DuckDB's extension types lie in reference cycles; Python's last collection skips what is frozen, and the
#           binding library looks for what is left.
# What helps: `atexit.register(gc.unfreeze)`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0
"$folder/venv/bin/python" -c 'import platform, duckdb; print("python", platform.python_version(), "duckdb", duckdb.__version__)'
run() { "$folder/venv/bin/python" -c "$1" 2>&1 | grep -c nanobind || true; }
plain=$(run 'import duckdb')
frozen=$(run 'import gc, duckdb; gc.freeze()')
thawed=$(run 'import atexit, gc, duckdb; gc.freeze(); atexit.register(gc.unfreeze)')
echo "lines about leaks: without freeze $plain, with freeze $frozen, unfrozen at exit $thawed"
[ "$plain" = 0 ] && [ "$frozen" != 0 ] && [ "$thawed" = 0 ] || { echo "this has changed"; exit 1; }
