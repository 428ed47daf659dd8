"""The vector of a query, by the model that made the vectors of the index."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openalign.errors import OpenAlignError
from openalign.model.dual_encoder import DualEncoder
from openalign.model.given import given_model
from openalign.model.onnx.faster import export_instead
from openalign.options import option
from openalign.search.query.compose import compose
from openalign.search.query.terms import Query
from openalign.search.store.any_store import AnyStore


class OtherModel(OpenAlignError):
    """A model whose vectors cannot be compared with those of the index."""


def model_for(store: AnyStore, given: DualEncoder | str | Path) -> DualEncoder:
    """The model `given` for an index, or its export where that saves time.

    Raises:
        OtherModel: the index was made by another one.
        OpenAlignError: see `openalign.load`.
    """
    export = export_instead(given, store.meta.fingerprint) if isinstance(given, str | Path) else None
    if export is not None:
        return export
    meta, model = store.meta, given_model(given)
    if model.fingerprint != meta.fingerprint:
        raise OtherModel(
            f"{store.name} was made by the model {meta.model_name} ({meta.fingerprint[:12]}), not by "
            f"{model.name} ({model.fingerprint[:12]}); use that model, or build the index again with this one."
        )
    return model


def own_model(store: AnyStore) -> DualEncoder:
    """The model of an index, from one of the places where it may be; raises OpenAlignError if it is in none."""
    problems: list[OpenAlignError] = []
    for source in store.models:
        try:
            return model_for(store, source)
        except OpenAlignError as error:
            problems.append(error)
    if isinstance(problems[0], OtherModel):
        raise problems[0]
    raise OpenAlignError(
        f"The model of {store.name} cannot be loaded: {problems[0]} Name it with {option('model')} if it is elsewhere."
    )


def vector_of(asked: Query, store: AnyStore, model: Callable[[], DualEncoder]) -> NDArray[np.float32]:
    """The unit vector (D,) of a query; `model` is called only for texts and images.

    Raises:
        OpenAlignError: the query is empty or cancels itself out, an image is unreadable, or there is no such row.
    """
    vectors_ND = np.empty((len(asked.terms), store.meta.width), dtype=np.float32)
    texts = {place: term.text for place, term in enumerate(asked.terms) if term.text is not None}
    images = {place: term.image for place, term in enumerate(asked.terms) if term.image is not None}
    for place, term in enumerate(asked.terms):
        if term.row is not None:
            vectors_ND[place] = store.vector(store.rows([term.row])[0].row)  # raises if there is no such row
    if images:
        vectors_ND[list(images)] = model().embed_images(list(images.values()))
    if texts:
        vectors_ND[list(texts)] = model().embed_texts(list(texts.values()))
    return compose(vectors_ND, asked.weights)
