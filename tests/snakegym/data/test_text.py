"""Texts become tokens of which the answers count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snakegym.data.datasets import load_data
from snakegym.data.tasks import IGNORED, Language
from snakegym.data.text import ANSWER, END, PAD, encode, folder_tokenizer, read_texts, train_tokenizer
from snakegym.errors import SnakegymError
from snakegym.scenario import CleaningConfig, DataConfig, TextConfig

pytest.importorskip("tokenizers")

QUESTIONS = [(f"What is {a} and {b}?", f"It is {a + b}.") for a in range(12) for b in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b-sums.jsonl").write_text(
        "\n".join(json.dumps({"question": q, "answer": a}) for q, a in QUESTIONS)
    )
    (tmp_path / "a-talk.yml").write_text(
        "categories: [greetings]\nconversations:\n" + "- - Hello\n  - Hi\n  - How are you?\n" * 10
    )
    (tmp_path / "c-play.txt").write_text("To be, or not to be: that is the question. " * 40)
    (tmp_path / "LICENSE.md").write_text("not a text to learn")
    return tmp_path


def test_a_topic_a_file(folder: Path) -> None:
    pairs, topics, names = read_texts(str(folder), 20)
    assert names == ("a-talk", "b-sums", "c-play")
    talk = [pair for pair, topic in zip(pairs, topics, strict=True) if topic == 0]
    assert talk == [("Hello", "Hi"), ("Hi", "How are you?")] * 10
    assert [pair for pair, topic in zip(pairs, topics, strict=True) if topic == 1] == QUESTIONS
    play = [pair for pair, topic in zip(pairs, topics, strict=True) if topic == 2]
    assert all(question == "" for question, _ in play)
    assert "".join(answer for _, answer in play) == "To be, or not to be: that is the question. " * 40


def test_targets_are_the_answers_tokens_and_decode_to_them(folder: Path) -> None:
    tokenizer = train_tokenizer(QUESTIONS, 300)
    inputs, targets = encode(tokenizer, QUESTIONS, 64)
    for (question, answer), given, wanted in zip(QUESTIONS, inputs.tolist(), targets.tolist(), strict=True):
        counted = [token for token in wanted if token != IGNORED]
        assert counted[-1] == tokenizer.token_to_id(END)
        assert tokenizer.decode(counted[:-1]) == answer
        first = next(i for i, token in enumerate(wanted) if token != IGNORED)
        assert given[first] == tokenizer.token_to_id(ANSWER)
        assert tokenizer.decode(given[:first]) == question
        assert given[first + 1 : first + len(counted)] == counted[:-1], "targets are the tokens that follow"
        assert {*given[first + len(counted) :]} <= {tokenizer.token_to_id(PAD)}


@pytest.mark.parametrize("length", [2, 3, 8, 17])
def test_whatever_is_too_long_still_has_an_answer(length: int) -> None:
    tokenizer = train_tokenizer(QUESTIONS, 300)
    long = [("why " * 100, "so"), ("why", "because " * 100), ("why " * 100, "because " * 100), ("", "so")]
    inputs, targets = encode(tokenizer, long, length)
    assert inputs.shape == targets.shape == (4, length)
    assert (targets != IGNORED).any(1).all()


def test_no_text_is_unknown() -> None:
    tokenizer = train_tokenizer(QUESTIONS, 259)
    assert tokenizer.get_vocab_size() == 259
    for text in ("naïve 東京 🙂", "\x00\x7f", "plain"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_parts_of_a_folder(folder: Path) -> None:
    config = DataConfig(dataset="text", root=str(folder), text=TextConfig(length=32, vocabulary=300))
    data = load_data(config)
    assert load_data(config) is data
    assert data.input_shape == (32,)
    assert data.n_classes == 3
    assert isinstance(data.train.task, Language)
    assert data.train.task.n_tokens <= 300
    n = sum(len(part) for part in (data.train, data.validation, data.test))
    assert n == len(read_texts(str(folder), 32)[0])
    for part in (data.train, data.validation, data.test):
        assert part.labels.unique().tolist() == [0, 1, 2], "stratified by topic"
        assert int(part.inputs.max()) < data.train.task.n_tokens


def test_the_users_own_texts(shared_data: Path) -> None:
    root = str(shared_data / "text" / "chatterbot")
    data = load_data(DataConfig(dataset="text", root=root))
    assert data.n_classes == 21
    assert len(data.train) > 500
    pairs = read_texts(root, 64).pairs
    assert all(answer.strip() for _, answer in pairs)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"question": "what?"}', "line 1: found the fields"),
        ("a.jsonl", '{"instruction": "do", "instances": [{}]}', "found an instruction without 'output'"),
        ("a.jsonl", '{"question": "what?", "answer": " "}', "found no answer"),
        ("a.jsonl", "{", "line 1"),
        ("a.yml", "conversations: 3", "found no 'conversations'"),
        ("a.yml", "conversations: [[Hello]]", "found no answer"),
        ("a.txt", " \n", "found no answer"),
        ("a.md", "text", "found no text in"),
    ],
)
def test_bad_texts_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SnakegymError, match=message) as error:
        load_data(DataConfig(dataset="text", root=str(tmp_path)))
    assert "\n" not in str(error.value)


def test_a_folder_is_needed_and_nothing_is_cleaned(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("SNAKEGYM_DATA", raising=False)
    with pytest.raises(SnakegymError, match=r"field 'data.root': found none"):
        load_data(DataConfig(dataset="text"))
    with pytest.raises(SnakegymError, match=r"field 'data.cleaning'"):
        load_data(DataConfig(dataset="text", root=str(folder), cleaning=CleaningConfig()))


def test_a_tokenizer_of_its_own_folder(folder: Path, tmp_path: Path) -> None:
    """One that was trained elsewhere parts question and answer by its end of a text."""
    tokenizers = pytest.importorskip("tokenizers")
    own = tmp_path / "own"
    own.mkdir()
    other = tokenizers.Tokenizer(tokenizers.models.BPE())
    other.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=270, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False
    )
    other.train_from_iterator(["some other text"], trainer)
    other.save(str(own / "tokenizer.json"))
    text = TextConfig(length=32, tokenizer=str(own))
    data = load_data(DataConfig(dataset="text", root=str(folder), text=text))
    assert data.train.task == Language(other.get_vocab_size())
    inputs, targets = encode(folder_tokenizer(str(own)), [("a", "bc")], 8)
    ids = [other.token_to_id(token) for token in ("a", "</s>", "b", "c")]
    assert inputs[0].tolist() == [*ids, ids[1], *[ids[1]] * 3][:8]
    assert targets[0].tolist()[1:4] == [ids[2], ids[3], ids[1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "'data.text.tokenizer': found no tokenizer.json in"),
        ("{", "'data.text.tokenizer': cannot read"),
        ("no end", "found none of </s>, "),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_named(
    folder: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    own = tmp_path / "own"
    own.mkdir()
    if content == "no end":
        tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(own / "tokenizer.json"))
    elif content is not None:
        (own / "tokenizer.json").write_text(content)
    with pytest.raises(SnakegymError, match=message):
        load_data(DataConfig(dataset="text", root=str(folder), text=TextConfig(tokenizer=str(own))))
