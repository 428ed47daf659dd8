"""WARC/1.1 records as crawlers write them, one gzip member each (ISO 28500:2017)."""

import base64
import gzip
import hashlib
import uuid
from datetime import datetime, timedelta

_BEGIN = datetime(2024, 5, 1, 8)  # a fixed time, so that equal webs are equal files
_PHRASES = {200: "OK", 404: "Not Found"}


def info_record(file_name: str) -> bytes:
    """The first record of a file, which names the software."""
    block = (
        b"software: openalign demo\r\nformat: WARC File Format 1.1\r\ndescription: a miniature web of drawn scenes\r\n"
    )
    headers = {"WARC-Filename": file_name, "Content-Type": "application/warc-fields"}
    return _record("warcinfo", file_name, 0, headers, block)


def request_record(url: str, second: int) -> bytes:
    host, _, path = url.removeprefix("https://").partition("/")
    block = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: openalign-demo\r\nAccept: */*\r\n\r\n".encode()
    headers = {"WARC-Target-URI": url, "Content-Type": "application/http; msgtype=request"}
    return _record("request", url, second, headers, block)


def response_record(url: str, second: int, content_type: str, body: bytes, status: int = 200) -> bytes:
    """The response to a request `second` seconds after the start of the crawl: HTTP headers and `body`."""
    http = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nServer: nginx\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    headers = {
        "WARC-Target-URI": url,
        "WARC-Payload-Digest": "sha1:" + base64.b32encode(hashlib.sha1(body).digest()).decode(),
        "Content-Type": "application/http; msgtype=response",
    }
    return _record("response", url, second, headers, http.encode() + body)


def _record(kind: str, name: str, second: int, headers: dict[str, str], block: bytes) -> bytes:
    head = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {name}')}>",
        "WARC-Date": (_BEGIN + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **headers,
        "Content-Length": str(len(block)),
    }
    lines = "".join(f"{field}: {value}\r\n" for field, value in head.items())
    return gzip.compress(f"WARC/1.1\r\n{lines}\r\n".encode() + block + b"\r\n\r\n", compresslevel=1, mtime=0)
