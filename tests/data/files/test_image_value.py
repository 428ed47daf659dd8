"""What a value of an image column is, and the image or file that it stands for."""

import base64
from pathlib import Path

import pytest

from openalign.data.files.image_value import Form, bytes_of, existing_file, form_of, local_path
from openalign.errors import OpenAlignError
from tests.data.tables.datasets import JPEGS

ENCODED = base64.b64encode(JPEGS[0]).decode()


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("a.jpg", Form.PATH),
        ("/9j/photos/a.jpg", Form.PATH),
        ("C:\\photos\\a.jpg", Form.PATH),
        ("data/a.jpg", Form.PATH),
        ("HTTPS://a.test/b.jpg", Form.HTTP_URL),
        ("file:///tmp/a%20b.jpg", Form.FILE_URL),
        ("s3://bucket/a.jpg", Form.OTHER_URL),
        (f"data:image/jpeg;base64,{ENCODED}", Form.DATA_URL),
        (ENCODED, Form.BASE64),
        (f"{ENCODED[:76]}\n{ENCODED[76:]}", Form.BASE64),
        ("", Form.PATH),
    ],
)
def test_the_form_of_a_value_is_told(value: str, form: Form) -> None:
    assert form_of(value) is form


@pytest.mark.parametrize(
    "value",
    [
        ENCODED,
        ENCODED.rstrip("="),
        ENCODED.replace("+", "-").replace("/", "_"),
        f"data:image/jpeg;base64,{ENCODED}",
        f"data:;base64,{ENCODED.replace('+', '%2B')}",
        "data:image/jpeg," + "".join(f"%{byte:02X}" for byte in JPEGS[0]),
    ],
)
def test_an_image_written_as_text_is_decoded(value: str) -> None:
    assert bytes_of(value) == JPEGS[0]


@pytest.mark.parametrize("value", ["data:image/jpeg;base64", "data:image/jpeg;base64,é?"])
def test_text_that_is_no_image_is_an_error(value: str) -> None:
    with pytest.raises(OpenAlignError):
        bytes_of(value)


def test_a_file_url_is_decoded_and_a_path_is_not() -> None:
    assert local_path("file:///tmp/caf%C3%A9%20b.jpg") == "/tmp/café b.jpg"
    assert local_path("file://localhost/tmp/a#b.jpg") == "/tmp/a#b.jpg"
    assert local_path("a%20b.jpg") == "a%20b.jpg"


def test_backslashes_are_slashes_where_that_file_exists(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.jpg").write_bytes(b"1")
    (tmp_path / "c\\d.jpg").write_bytes(b"2")
    assert existing_file(tmp_path, "a\\b.jpg").read_bytes() == b"1"
    assert existing_file(tmp_path, "c\\d.jpg").read_bytes() == b"2"
    assert existing_file(tmp_path, "e\\f.jpg") == tmp_path / "e\\f.jpg"


@pytest.mark.parametrize("written", [" a.jpg", "a.jpg ", "\ta.jpg"])
def test_blanks_around_a_path_are_no_part_of_it_unless_the_file_is_called_so(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    assert existing_file(tmp_path, written) == tmp_path / "a.jpg"
    (tmp_path / written).write_bytes(b"")
    assert existing_file(tmp_path, written) == tmp_path / written


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("caf\u00e9.jpg", "cafe\u0301.jpg"),
        ("\u1112\u1161\u11ab.png", "\ud55c.png"),
        ("a.JPG", "a.jpg"),
        ("b.png", "b.PNG"),
    ],
)
def test_accents_and_the_case_of_a_suffix_may_be_written_otherwise(tmp_path: Path, written: str, called: str) -> None:
    (tmp_path / called).write_bytes(b"1")
    assert existing_file(tmp_path, written) == tmp_path / called
    (tmp_path / written).write_bytes(b"2")
    assert existing_file(tmp_path, written) == tmp_path / written


@pytest.mark.parametrize("value", ["x" * 5000, "a\0b.jpg", "", "é" * 300])
def test_what_cannot_be_a_name_is_no_error(tmp_path: Path, value: str) -> None:
    assert existing_file(tmp_path, value) == tmp_path / value
