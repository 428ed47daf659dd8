"""A whole curation from a site that means no good: it ends, what is good is kept, and the rest has its reason."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openalign.curation.fetch.ledger import read_ledger
from openalign.curation.pipeline import curate
from openalign.curation.recipe import CurateRecipe
from tests.curation.crawl import drawing, encoded
from tests.curation.site import Server, png_bomb

pytestmark = pytest.mark.slow


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[Server]:
    """A site with a certificate that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    running = Server(context)
    running.start()
    yield running
    running.stop()


def test_a_hostile_site_costs_nothing_but_its_own_images(server: Server, untrusted: Server, tmp_path: Path) -> None:
    good = {f"good{number}.jpg": encoded(drawing(number)) for number in range(5)}
    server.files = untrusted.files = {**good, "bomb.png": png_bomb()}
    reasons = {
        "slow.jpg": "no complete response within",
        "endless.jpg": "larger than",
        "to-loopback": "127.0.0.2 is not a public address",
        "to-metadata": "169.254.169.254 is not a public address",
        "short.jpg": "not",
        "bomb.jpg": "larger than",
        "much-too-busy.jpg": "HTTP 429",
        "html.jpg": "not an image but image/jpeg",
        "missing.jpg": "HTTP 404",
        "loop": "more than 5 redirects",
    }
    addresses = [f"{server.url}/{name}" for name in (*good, *reasons, "bomb.png")]
    addresses.append(f"{untrusted.url}/good0.jpg")
    rows = [f"{address},picture number {number}" for number, address in enumerate(addresses)]
    (tmp_path / "pairs.csv").write_text("\n".join(["url,text", *rows]) + "\n")
    asked = CurateRecipe.of(fetch_seconds=1.0, fetch_attempts=2, fetch_max_bytes=10 << 20)
    with pytest.MonkeyPatch.context() as patched:  # of all private addresses, just the site's own
        patched.setattr("openalign.curation.fetch.http_client.is_public", lambda address: address == "127.0.0.1")
        curate([tmp_path / "pairs.csv"], to=tmp_path / "to", workers=1, recipe=asked)

    kept = pq.read_table(tmp_path / "to" / "pairs.parquet")["image"].to_pylist()
    assert kept == [f"{server.url}/{name}" for name in good]
    ledger = read_ledger(tmp_path / "to" / "ledger.jsonl")
    found = {image.removeprefix(server.url + "/"): entry for image, entry in ledger.items()}
    assert {name for name, reason in reasons.items() if reason not in (found[name].reason or "")} == set()
    assert "certificate" in (found[f"{untrusted.url}/good0.jpg"].reason or "").lower()
    assert found["bomb.png"].status == "kept"  # a few bytes, which are never unpacked:
    dropped = {row["image"]: row["reasons"] for row in pq.read_table(tmp_path / "to" / "dropped.parquet").to_pylist()}
    assert dropped[f"{server.url}/bomb.png"] == ["unreadable_image"]
    assert len(dropped) == len(reasons) + 2
