"""WARC and WAT files, pages, tables, shards -> occurrences: an image, its text, and where its bytes lie."""
