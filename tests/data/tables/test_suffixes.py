"""Tables are recognised by their names."""

import pytest

from openalign.data.tables.suffixes import table_suffix


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("a.csv", ".csv"),
        ("a.b/c.TSV", ".tsv"),
        ("https://a.test/photos.jsonl", ".jsonl"),
        ("pairs.ndjson.gz", ".ndjson"),
        ("pairs.CSV.GZ", ".csv"),
        ("part-0.parquet", ".parquet"),
        ("part-0.parquet.gz", None),
        ("a.csv.zip", None),
        ("photos.gz", None),
        ("a.csv/photo.jpg", None),
        ("csv", None),
        ("", None),
    ],
)
def test_the_suffix_of_a_table_is_found_before_gz(path: str, suffix: str | None) -> None:
    assert table_suffix(path) == suffix
