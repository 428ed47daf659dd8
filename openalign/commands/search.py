"""`openalign index`, `search` and `serve`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from openalign.commands.arguments import (
    DATA,
    MODELS,
    All,
    Conditions,
    Host,
    ImageColumn,
    IndexFolder,
    Json,
    LayoutName,
    MakeMap,
    Minus,
    ModelOfIndex,
    Plus,
    Port,
    ReEmbed,
    Split,
    Strict,
    TextColumn,
    Top,
    Watch,
    WrittenQuery,
)
from openalign.commands.output import terminal
from openalign.progress import say


def index(
    paths: Annotated[list[str], typer.Argument(metavar="DATA", help=DATA, show_default=False)],
    to: Annotated[
        Path,
        typer.Option(metavar="INDEX", help="Folder of the index to write or to bring up to date.", show_default=False),
    ],
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help=f"{MODELS} Not needed for vectors.", show_default=False)
    ] = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    split: Split = None,
    layout: LayoutName = None,
    strict: Strict = False,
    re_embed: ReEmbed = False,
    watch: Watch = False,
    map_: MakeMap = None,
) -> None:
    """Embed images and store them for search. Texts beside them are shown, not searched.

    DATA may also be folders of vectors that `openalign embed` wrote: nothing is embedded then.

    An image with several texts, or in several files of equal bytes, is one row of the index with all of its texts.
    Where INDEX was written before with the same model, only new and changed images are read and embedded, and those
    that DATA no longer has are removed: INDEX holds exactly the images of the DATA that are given. A run that was
    stopped at any moment goes on where it was when the same command is given again.

    ```
    openalign index photos/ --model runs/laptop/model --to photos.index
    openalign index photos/ --model runs/laptop/model --to photos.index --watch
    openalign index vectors/ --to photos.index
    ```
    """
    from openalign.search.index import Index

    columns = {"image_column": image_column, "text_column": text_column}
    how = {"strict": strict, "re_embed": re_embed, "watch": watch, "map_": map_}
    built = Index.build(paths, model=model, to=to, split=split, layout=layout, **columns, **how)  # type: ignore[arg-type]
    say(f"{to} holds {len(built):,} images.")


def search(
    index: IndexFolder,
    query: WrittenQuery = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Search by this image.")] = None,
    plus: Plus = None,
    minus: Minus = None,
    where: Conditions = None,
    top: Top = 10,
    model: ModelOfIndex = None,
    all_: All = False,
    json: Json = False,
) -> None:
    """Find images by texts, by images, or by both: each added or subtracted, with a weight or without.

    A + or - between blanks adds or subtracts what follows, `2*` before a text or an image is its weight, and quotation
    marks make a text literal: '"black - white" + 2*at night'.

    Of the N most similar images those are shown that match, which may be none.

    ```
    openalign search photos.index "a red apple - people"
    openalign search photos.index "img:beach.jpg + 2*at night - people"
    openalign search photos.index --image shoe.jpg --plus "in blue" --json
    openalign search photos.index "red bicycle" --where "date>=2024-05" --where "folder=holiday*"
    ```
    """
    if not (query or image or plus or minus):
        raise typer.BadParameter("give a text or an image to search for.", param_hint="QUERY")

    from openalign.search.index import Index
    from openalign.search.query.language import parse_query

    asked = parse_query(query or "").with_terms([image] if image else (), (), plus or (), minus or ())
    hits = Index.open(index, model).search(asked, where=where or (), top=top)
    if json:
        given = {"text": query, "image": str(image) if image else None, "plus": plus or [], "minus": minus or []}
        content = {"index": str(index), "query": given | {"where": where or [], "terms": terminal.terms_json(asked)}}
        terminal.print_json(content | {"nothing_matches": hits.nothing_matches, "hits": terminal.hits_json(hits)})
    else:
        terminal.print_hits(hits, show_all=all_)


def serve(
    index: IndexFolder,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further host name to be asked by; repeatable. * allows all of them."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", help="Searches a second that one client address may ask for.", show_default=False),
    ] = None,
    model: ModelOfIndex = None,
) -> None:
    """Serve the search page and its REST API until Ctrl-C.

    If the environment variable OPENALIGN_API_KEY is set, only requests with this key are answered.

    ```
    openalign serve photos.index --port 8000
    OPENALIGN_API_KEY=... openalign serve photos.index --host 0.0.0.0 --allow-host photos.example.org --rate 5
    ```
    """
    from openalign.serve.app import serve
    from openalign.serve.protection.access import KEY_VARIABLE

    key = os.environ.get(KEY_VARIABLE)
    serve(index, host=host, port=port, model=model, allow_host=allow_host or (), rate=rate, key=key)
