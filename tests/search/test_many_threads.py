"""An opened index that many threads ask at once."""

import subprocess
import sys

import pytest

from tests import preloaded

pytestmark = pytest.mark.slow

ASK = """
import sys, threading
from openalign.search import Index
from openalign.search.store import database

database._ASKED_EVERY = 1  # a function in Python, as those of conditions are
sys.setswitchinterval(1e-6)
store = Index.open(sys.argv[1]).store
expected = store.matching(["image=*r*", "width>0"]).tolist(), store.rows([0])

def ask(number):
    for _ in range(200):
        if number % 2:
            assert store.matching(["image=*r*", "width>0"]).tolist() == expected[0]
        else:
            assert store.rows([0]) == expected[1]

threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print("all answered")
"""


def test_conditions_in_python_and_other_reading_never_wait_for_each_other_without_end(index, tmp_path):
    """In a process of its own: threads that wait so stop the whole interpreter."""
    script = tmp_path / "ask.py"
    script.write_text(ASK)
    process = preloaded.Popen(
        [sys.executable, script, index.store.folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        said, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "all answered" in said, errors
