"""A service by an export of the model, which saves the memory and the start of torch until an image is uploaded."""

import json
import subprocess
import sys

import numpy as np
import pytest

from openalign.model import hub
from openalign.model.onnx import faster
from openalign.model.onnx.encoder import exported
from openalign.model.onnx.export import export
from openalign.search import Index

pytestmark = pytest.mark.slow
ASK_EVERYTHING = """
import json, sys
from fastapi.testclient import TestClient
from openalign.search.index import Index
from openalign.serve.app import create_app

index = Index.open(sys.argv[1])
with TestClient(create_app(index)) as client:
    found = [
        client.get("/search", params={"query": "a red apple - a boat"}),
        client.post("/search", data={"query": "row:1"}),
        client.get("/listing", params={"query": "a red apple", "sort": "name"}),
        client.post("/v1/embeddings", json={"input": "a red apple"}),
        *(client.get(path) for path in ("/", "/facets", "/info", "/browse", "/saved", "/rows/0", "/metrics")),
        *(client.get(path) for path in ("/images/0", "/thumbnails/1", "/alike/0", "/openapi.json", "/health")),
    ]
    loaded = [*sys.modules]
    image = index.original(0)  # of uploaded images, torch resamples the pixels
    found += [
        client.post("/search", files={"image": image}),
        client.post("/classify", files={"image": image}, data={"labels": ["apple", "boat"]}),
        client.post("/embed", files={"images": image}, data={"texts": ["a red apple", "a boat"]}),
    ]
print(json.dumps({
    "statuses": [each.status_code for each in found],
    "vectors": found[-1].json()["texts"] + found[-1].json()["images"],
    "loaded": loaded,
}))
"""


def test_queries_of_texts_need_no_torch_and_all_have_the_models_vectors(index_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    export(tmp_path / "model")
    model = hub.load(tmp_path / "model")
    assert exported(tmp_path / "model", model.fingerprint) is not None
    faster._remember(faster._key(model.fingerprint), {"torch": 2.0, "onnx": 1.0})
    command = [sys.executable, "-c", ASK_EVERYTHING, str(index_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer["statuses"]) == {200}
    assert not {"torch", "transformers", "pandas", "scipy"}.intersection(answer["loaded"])
    expected = [
        *model.embed_texts(["a red apple", "a boat"]),
        *model.embed_images([Index.open(index_folder).original(0)]),
    ]
    np.testing.assert_allclose(answer["vectors"], expected, atol=1e-4)
