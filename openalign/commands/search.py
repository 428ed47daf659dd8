"""`openalign index`, `search` and `serve`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from openalign.commands.arguments import (
    DATA,
    MODELS,
    AgainstWhat,
    All,
    Conditions,
    EmbedTexts,
    Export,
    Fold,
    Host,
    ImageColumn,
    IndexFolder,
    IndexToWrite,
    Json,
    LayoutName,
    ListSaved,
    MakeMap,
    Minus,
    ModelOfIndex,
    Plus,
    Port,
    ReEmbed,
    Save,
    SortBy,
    Split,
    Strict,
    TextColumn,
    Top,
    Watch,
    WrittenQuery,
)
from openalign.commands.output.searching import Typed, print_found, print_saved
from openalign.progress import say


def index(
    paths: Annotated[list[str], typer.Argument(metavar="DATA", help=DATA, show_default=False)],
    to: IndexToWrite,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help=f"{MODELS} Not needed for vectors.", show_default=False)
    ] = None,
    image_column: ImageColumn = None,
    text_column: TextColumn = None,
    split: Split = None,
    layout: LayoutName = None,
    strict: Strict = False,
    re_embed: ReEmbed = False,
    embed_texts: EmbedTexts = None,
    watch: Watch = False,
    map_: MakeMap = None,
) -> None:
    """Embed images and store them for search. Texts beside them are shown; with --embed-texts they are searched too.

    DATA may also be folders of vectors that `openalign embed` wrote: nothing is embedded then.

    An image with several texts, or in several files of equal bytes, is one row of the index with all of its texts.
    Where INDEX was written before with the same model, only new and changed images are read and embedded, and those
    that DATA no longer has are removed: INDEX holds exactly the images of the DATA that are given. A run that was
    stopped at any moment goes on where it was when the same command is given again.

    ```
    openalign index photos/ --model runs/laptop/model --to photos.index
    openalign index photos/ --model runs/laptop/model --to photos.index --watch
    openalign index vectors/ --to photos.index
    openalign index vectors/ --to milvus://localhost:19530/photos
    ```
    """
    from openalign.search.index import Index

    columns = {"image_column": image_column, "text_column": text_column}
    how = {"strict": strict, "re_embed": re_embed, "watch": watch, "embed_texts": embed_texts, "map_": map_}
    built = Index.build(paths, model=model, to=to, split=split, layout=layout, **columns, **how)  # type: ignore[arg-type]
    say(f"{to} holds {len(built):,} images.")


def search(
    index: IndexFolder,
    query: WrittenQuery = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An image to search by, as img:FILE in QUERY.")
    ] = None,
    plus: Plus = None,
    minus: Minus = None,
    where: Conditions = None,
    top: Top = 10,
    sort: SortBy = None,
    fold: Fold = None,
    against: AgainstWhat = None,
    save: Save = None,
    list_saved: ListSaved = False,
    export: Export = None,
    model: ModelOfIndex = None,
    all_: All = False,
    json: Json = False,
) -> None:
    """Find images by texts, by images, or by both: each added or subtracted, with a weight or without.

    In QUERY, a + or - between blanks, or at the start and before a blank, adds or subtracts what follows; `2*` before a
    text or an image is its weight, and quotation marks make a text literal: '"black - white" + 2*at night'. Shown are
    those of the N most similar images that match, which may be none.

    ```
    openalign search photos.index "img:beach.jpg + 2*at night - people"
    openalign search photos.index "- people" --image beach.jpg
    openalign search photos.index --image shoe.jpg --plus "in blue" --json
    openalign search photos.index "red bicycle" --sort=-date --save bicycles
    openalign search photos.index "a dog" --where "date>=2024-05"
    openalign search photos.index saved:bicycles --export bicycles.csv
    ```
    """
    asked = Typed((query or "").strip(), image, plus or [], minus or [], where or [], top, sort, fold, against)
    if list_saved:
        print_saved(index, json=json)
    else:
        print_found(index, model, asked, save=save, export=export, show_all=all_, json=json)


def serve(
    index: IndexFolder,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A further name by which browsers reach the page, such as that of a proxy; repeatable. * allows every "
            "name, and requests from every page.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Searches a second that one client address may ask for. Default: no limit.",
            show_default=False,
        ),
    ] = None,
    model: ModelOfIndex = None,
) -> None:
    """Serve the search page and its REST API until Ctrl-C.

    The address of the page is printed; /openapi.json there describes the REST API. An INDEX that grows is opened again
    by itself. If the environment variable OPENALIGN_API_KEY is set, only requests with this key are answered, and the
    page asks for it.

    ```
    openalign serve photos.index --port 8000
    OPENALIGN_API_KEY=... openalign serve photos.index --host 0.0.0.0 --rate 5
    ```
    """
    from openalign.serve.app import serve
    from openalign.serve.protection.access import KEY_VARIABLE

    key = os.environ.get(KEY_VARIABLE)
    serve(index, host=host, port=port, model=model, allow_host=allow_host or (), rate=rate, key=key)
