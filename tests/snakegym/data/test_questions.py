"""Questions that are made up by rule, and topics that are set apart."""

from __future__ import annotations

import numpy as np
import pytest

from snakegym.data.datasets import load_data
from snakegym.data.questions import make_questions
from snakegym.data.text import apart
from snakegym.errors import SnakegymError
from snakegym.scenario import DataConfig, TextConfig

APART = ("animals", "music")


def test_every_topic_has_facts_and_stories_and_no_pair_comes_twice() -> None:
    texts = make_questions()
    assert len(texts.names) == 8
    assert len({*texts.pairs}) == len(texts.pairs)
    assert (np.bincount(texts.topics) > 120).all()
    assert make_questions().pairs == texts.pairs
    assert not any("{" in text or "}" in text for pair in texts.pairs for text in pair)
    assert ("What does the cat say?", "The cat says meow.") in texts.pairs


def test_topics_are_set_apart_whole() -> None:
    texts = make_questions()
    rest, chosen = apart(texts, APART)
    assert {*rest.pairs}.isdisjoint(chosen.pairs)
    assert len(rest.pairs) + len(chosen.pairs) == len(texts.pairs)
    assert chosen.names == APART
    assert (set(rest.topics), set(chosen.topics)) == ({*range(6)}, {0, 1})
    for part in (rest, chosen):
        for pair, topic in zip(part.pairs, part.topics, strict=True):
            assert texts.names[texts.topics[texts.pairs.index(pair)]] == part.names[topic]
    assert apart(texts, ())[0].pairs == texts.pairs


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("animals", "anything"), "found 'anything', expected one of animals, cities"),
        (make_questions().names, "found all 8 topics, expected one at least to remain"),
    ],
)
def test_what_cannot_be_set_apart_is_named(names: tuple[str, ...], message: str) -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(SnakegymError, match=f"field 'data.text.set_apart': {message}"):
        load_data(DataConfig(dataset="questions", text=TextConfig(set_apart=names)))


def test_nobody_has_or_is_measured_on_what_is_set_apart() -> None:
    pytest.importorskip("tokenizers")
    data = load_data(DataConfig(dataset="questions", text=TextConfig(length=40, set_apart=APART)))
    assert data.topics == ("cities", "colours", "numbers", "opposites", "weather", "work")
    assert data.n_classes == 6
    assert data.pretraining is not None
    seen = {tuple(row) for row in data.pretraining.inputs.tolist()}
    for part in (data.train, data.validation, data.test):
        assert seen.isdisjoint(tuple(row) for row in part.inputs.tolist())
        assert part.labels.unique().tolist() == [0, 1, 2, 3, 4, 5]
    some = data.test.part(data.test.labels == 3)
    assert 0 < len(some) < len(data.test)
    assert (some.labels == 3).all()
