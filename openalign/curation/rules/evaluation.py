"""Rules -> a boolean column each: which pairs are dropped, and why."""

from collections.abc import Sequence
from dataclasses import replace

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from openalign.curation.images.inspection import FINGERPRINT_COLUMNS
from openalign.curation.rules.rule import Corpus, Rule


def add_columns(corpus: Corpus, rules: Sequence[Rule], before: Sequence[Rule] = ()) -> Corpus:
    """The corpus with the columns of `rules` beside its pairs; `before` are rules that have theirs already."""
    for number, rule in enumerate(rules):
        if rule.columns is None:
            continue
        found = rule.columns.compute(corpus, (*before, *rules[:number]))
        if isinstance(found, pa.Table):
            found = corpus.engine.from_arrow(f"columns_of_{rule.name}", found)
        joined = corpus.pairs.left_join(found, rule.columns.key).drop(f"{rule.columns.key}_right")
        corpus = replace(corpus, pairs=joined)
    return corpus


def add_text_passes(corpus: Corpus, rules: Sequence[Rule]) -> Corpus:
    """The corpus with `text_passes`: whether a pair breaks none of `rules`, so that its image is worth fetching."""
    broken = [_broken(rule, corpus) for rule in rules]
    pairs = corpus.pairs.mutate(text_passes=~ibis.or_(*broken))
    return replace(corpus, pairs=corpus.engine.materialize("pairs_with_counts", pairs))


def add_inspected(corpus: Corpus, inspected: ir.Table) -> Corpus:
    """The corpus with the columns of `inspection.INSPECTED` and `inspected`: whether there is a row for the image.

    Fingerprints, most bytes of a row, which few rules read, and `frames`, which none reads, are left out.
    """
    measured = [name for name in inspected.columns if name not in (*FINGERPRINT_COLUMNS, "frames")]
    joined = corpus.pairs.left_join(inspected.select(measured).mutate(inspected=True), "image").drop("image_right")
    return replace(corpus, pairs=joined.mutate(inspected=joined.inspected.fill_null(False)))


def evaluate(corpus: Corpus, rules: Sequence[Rule]) -> ir.Table:
    """The pairs with a boolean column per rule, `first`, `dropped` and `reasons`.

    `first` is the index in `rules` of the first rule that a pair breaks, null for a pair that is kept; `reasons` are
    the names of all rules it breaks, in order.
    """
    pairs = corpus.pairs.mutate(**{rule.name: _broken(rule, corpus) for rule in rules})
    first = ibis.cases(*((pairs[rule.name], number) for number, rule in enumerate(rules)))
    reasons = ibis.array([pairs[rule.name].ifelse(rule.name, ibis.null(str)) for rule in rules])
    return corpus.engine.materialize(
        f"evaluated_by_{len(rules)}",
        pairs.mutate(first=first, dropped=first.notnull(), reasons=reasons.filter(lambda reason: reason.notnull())),
    )


def _broken(rule: Rule, corpus: Corpus) -> ir.BooleanValue:
    return rule.broken(corpus.pairs, rule.settings_of(corpus.recipe)).fill_null(False)
