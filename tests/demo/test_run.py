from concurrent.futures import ThreadPoolExecutor

import pytest

from openalign.demo import run
from openalign.errors import OpenAlignError
from openalign.locks import locked


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path):
    with locked(tmp_path / "demo"), ThreadPoolExecutor(1) as another:
        asked = another.submit(run.run_demo, tmp_path / "demo", web_only=True)
        with pytest.raises(OpenAlignError, match="is being written by another run"):
            asked.result()


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_web_json_makes_the_web_again(tmp_path, monkeypatch, content):
    made = []
    monkeypatch.setattr(run, "make_web", lambda to, **settings: made.append(settings))
    for _ in range(2):
        run.Demo(tmp_path, scenes=100, seed=0).web()
    assert made == [{"scenes": 100, "seed": 0}]
    (tmp_path / "web.json").write_text(content)
    run.Demo(tmp_path, scenes=100, seed=0).web()
    assert len(made) == 2
