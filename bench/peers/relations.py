"""The relational rules and the counting of rare tokens by hand, in DuckDB and in Polars.

python relations.py duckdb|polars rules|tokens MEMORY ROWS.parquet WORK
"""

import json
import resource
import sys
import time

VOCABULARY = 100_000
SEPARATORS = r"[^\p{L}\p{M}\p{N}]+"
Outcome = tuple[float, list[int]]  # when the counted work began, and what was found


def by_duckdb(what: str, memory: str, rows: str, work: str) -> Outcome:
    import duckdb

    database = duckdb.connect(f"{work}/peer.duckdb", config={"memory_limit": memory})
    began = time.perf_counter()
    database.execute(f"""
        CREATE TABLE pairs AS
        SELECT image, text, min(occurrence) AS occurrence, arg_min(page, occurrence) AS page,
            arg_min(host, occurrence) AS host, count(*) AS occurrences
        FROM '{rows}' GROUP BY image, text
    """)
    words = f"string_split(trim(regexp_replace(lower(text), '{SEPARATORS}', ' ', 'g')), ' ')"
    if what == "rules":
        database.execute(f"""
            CREATE TABLE measured AS
            WITH texts AS (SELECT text, count(*) AS images, len({words}) AS unigrams FROM pairs GROUP BY text),
                images AS (SELECT image, count(*) AS texts FROM pairs GROUP BY image)
            SELECT pairs.*, texts.images, texts.unigrams, images.texts,
                unigrams BETWEEN 3 AND 20 AND texts.images <= 10 AND images.texts <= 1000 AS passes
            FROM pairs JOIN texts USING (text) JOIN images USING (image)
        """)
        return began, number_of(database, "SELECT count(*), count(*) FILTER (passes) FROM measured")
    began = time.perf_counter()
    database.execute(f"""
        CREATE TABLE texts AS SELECT text, count(*) AS images, {words} AS words FROM pairs GROUP BY text;
        CREATE VIEW tokens AS SELECT text, images, unnest(list_concat(words, list_transform(
            range(1, len(words)), lambda index: words[index] || ' ' || words[index + 1]))) AS token FROM texts;
        CREATE TABLE counts AS SELECT token, sum(images) AS times FROM tokens GROUP BY token;
    """)
    top = f"SELECT times FROM counts ORDER BY times DESC LIMIT {VOCABULARY}"
    [border] = number_of(database, f"SELECT min(times) FROM ({top})")
    rare = f"tokens SEMI JOIN (SELECT token FROM counts WHERE times < {border}) USING (token)"
    return began, [
        *number_of(database, "SELECT count(*) FROM texts"),
        *number_of(database, f"SELECT count(DISTINCT text) FROM {rare}"),
    ]


def number_of(database, query: str) -> list[int]:  # type: ignore[no-untyped-def]
    return [int(number) for number in database.execute(query).fetchone()]


def by_polars(what: str, memory: str, rows: str, work: str) -> Outcome:
    import polars as pl

    began = time.perf_counter()
    first = pl.col("occurrence").arg_min()
    pairs = (
        pl.scan_parquet(rows)
        .group_by("image", "text")
        .agg(
            pl.col("occurrence").min(),
            pl.col("page").get(first),
            pl.col("host").get(first),
            pl.len().alias("occurrences"),
        )
    )
    pairs.sink_parquet(f"{work}/pairs.parquet")
    pairs = pl.scan_parquet(f"{work}/pairs.parquet")
    words = pl.col("text").str.to_lowercase().str.replace_all(SEPARATORS, " ").str.strip_chars(" ").str.split(" ")
    texts = pairs.group_by("text").agg(pl.len().alias("images"))
    if what == "rules":
        images = pairs.group_by("image").agg(pl.len().alias("texts"))
        measured = (
            pairs.join(texts.with_columns(words.list.len().alias("unigrams")), on="text")
            .join(images, on="image")
            .with_columns(
                (pl.col("unigrams").is_between(3, 20) & (pl.col("images") <= 10) & (pl.col("texts") <= 1000)).alias(
                    "passes"
                )
            )
        )
        measured.sink_parquet(f"{work}/measured.parquet")
        found = pl.scan_parquet(f"{work}/measured.parquet").select(pl.len(), pl.col("passes").sum())
        return began, [int(number) for number in found.collect().row(0)]
    began = time.perf_counter()
    listed = texts.with_columns(words.alias("words"))
    listed.sink_parquet(f"{work}/texts.parquet")
    listed = pl.scan_parquet(f"{work}/texts.parquet")
    singles = listed.select("text", "images", pl.col("words").alias("token")).explode("token")
    following = singles.with_columns(
        pl.when(pl.col("text") == pl.col("text").shift(-1)).then(pl.col("token") + " " + pl.col("token").shift(-1))
    ).drop_nulls("token")
    tokens = pl.concat([singles, following])
    tokens.group_by("token").agg(pl.col("images").sum().alias("times")).sink_parquet(f"{work}/counts.parquet")
    counts = pl.scan_parquet(f"{work}/counts.parquet")
    border = counts.select(pl.col("times").top_k(VOCABULARY).min()).collect(engine="streaming").item()
    rare = tokens.join(counts.filter(pl.col("times") < border), on="token", how="semi")
    return began, [
        listed.select(pl.len()).collect().item(),
        rare.select(pl.col("text").n_unique()).collect(engine="streaming").item(),
    ]


def main() -> None:
    way, what, memory, rows, work = sys.argv[1:]
    began, found = {"duckdb": by_duckdb, "polars": by_polars}[way](what, memory, rows, work)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"s": round(seconds, 1), "memory MB": peak, "found": found}))


if __name__ == "__main__":
    main()
