"""Texts as tokens: questions with answers, dialogue, plain text; a folder of them, a topic a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snakegym.data.tasks import IGNORED
from snakegym.documents import parse_json, parse_yaml
from snakegym.errors import SnakegymError
from snakegym.files import is_folder, read_text
from snakegym.llm import import_llm

Pair = tuple[str, str]
"""A question, empty where plain text goes on, and what is to be learned to say after it."""

PAD, ANSWER, END = "<pad>", "<answer>", "<end>"
"""Special tokens, of the first ids: what fills a text up, what parts question from answer, and the end."""
ENDS: Final = ("</s>", "<|end_of_text|>", "<|endoftext|>", "<|eot_id|>", "<eos>")
"""What the end of a text is called by tokenizers of others."""
SUFFIXES: Final = (".jsonl", ".txt", ".yaml", ".yml")
MOST_BYTES: Final = 2**28
CHARACTERS: Final = 3
"""Of plain text for each token that a sample may have; what is too much is cut off."""


class Texts(NamedTuple):
    """Questions and answers by topic."""

    pairs: list[Pair]
    topics: npt.NDArray[np.int64]
    """Of each pair, int64 [n], in [0, number of names)."""
    names: tuple[str, ...]
    """Of the topics."""


def topic_files(root: str | None) -> list[Path]:
    """Those of a folder of texts, a topic each, in the order of their names.

    Raises:
        SnakegymError: there is no such folder, or no such file in it.
    """
    if root is None or not is_folder(Path(root)):
        found = "none, nor $SNAKEGYM_DATA" if root is None else f"'{root}'"
        raise SnakegymError(f"field 'data.root': found {found}, expected an existing folder of texts")
    files = sorted(path for path in Path(root).iterdir() if path.suffix in SUFFIXES)
    if not files:
        raise SnakegymError(
            f"field 'data.root': found no text in '{root}', expected files that end in {', '.join(SUFFIXES)}"
        )
    return files


def read_texts(root: str | None, length: int) -> Texts:
    """The pairs in a folder: a topic a file, in the order of their names.

    `.jsonl`: objects with `question` and `answer`, or with `instruction`, `output` and perhaps `input`
    (which may also stand in `instances`). `.yml`: `conversations`, lists of turns, of which each answers the
    one before it. `.txt`: plain text, in pieces.

    Args:
        root: the folder.
        length: of a sample, in tokens.

    Raises:
        SnakegymError: there is no such folder, no such file in it, or one without anything to learn.
    """
    files = topic_files(root)
    pairs: list[Pair] = []
    topics: list[int] = []
    for topic, path in enumerate(files):
        own = [(q, a) for q, a in _pairs(path, length) if a.strip()]
        if not own:
            raise SnakegymError(f"{path}: found no answer, expected something to learn")
        pairs += own
        topics += [topic] * len(own)
    return Texts(pairs, np.array(topics, dtype=np.int64), tuple(path.stem for path in files))


def apart(texts: Texts, names: Sequence[str]) -> tuple[Texts, Texts]:
    """The texts of all other topics, and those of these.

    Raises:
        SnakegymError: there is no topic of such a name, or there are no others.
    """
    field = "field 'data.text.set_apart'"
    for name in names:
        if name not in texts.names:
            raise SnakegymError(f"{field}: found {name!r:.80}, expected one of {', '.join(texts.names)}")
    if len({*names}) == len(texts.names):
        raise SnakegymError(f"{field}: found all {len(texts.names)} topics, expected one at least to remain")
    chosen = [name in names for name in texts.names]
    return _of_topics(texts, [not c for c in chosen]), _of_topics(texts, chosen)


def _of_topics(texts: Texts, wanted: Sequence[bool]) -> Texts:
    kept = np.flatnonzero(np.array(wanted)[texts.topics])
    places = np.cumsum(wanted) - 1
    names = tuple(name for name, keep in zip(texts.names, wanted, strict=True) if keep)
    return Texts([texts.pairs[i] for i in kept], places[texts.topics[kept]], names)


def train_tokenizer(pairs: Sequence[Pair], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer (of the library tokenizers) for these texts: no text is unknown to it.

    Sennrich et al. 2016, arXiv:1508.07909, on bytes as in Radford et al. 2019.

    Args:
        pairs: those of the train part alone.
        vocabulary: tokens at most, special ones and all bytes included; where texts are short, fewer.
    """
    tokenizers = import_llm("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, ANSWER, END],
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for pair in pairs for text in pair), trainer)
    return tokenizer


def folder_tokenizer(folder: str) -> Any:
    """The tokenizer in the `tokenizer.json` of a folder, as transformers keeps it beside a model.

    Raises:
        SnakegymError: there is none, it is damaged, or it has no token for the end of a text.
    """
    path, field = Path(folder) / "tokenizer.json", "field 'data.text.tokenizer'"
    if not path.is_file():
        raise SnakegymError(f"{field}: found no tokenizer.json in {folder}, expected one")
    try:
        tokenizer = import_llm("tokenizers").Tokenizer.from_file(str(path))
    except SnakegymError:
        raise
    except Exception as error:  # whatever damaged files lead the library to
        raise SnakegymError(f"{field}: cannot read {path}: {' '.join(str(error).split()):.200}") from None
    if tokenizer.token_to_id(END) is None and _end_of(tokenizer) is None:
        raise SnakegymError(f"{field}: found none of {', '.join(ENDS)} in {path}, expected one of them")
    return tokenizer


def special_tokens(tokenizer: Any) -> dict[str, str]:
    """What it has for `PAD`, `ANSWER` and `END`: one that was not trained here its end of a text, for all."""
    end = _end_of(tokenizer)
    names = (PAD, ANSWER, END)
    return {name: name if tokenizer.token_to_id(name) is not None else str(end) for name in names}


def n_tokens(tokenizer: Any) -> int:
    """Tokens that may occur: one more than the highest number of any."""
    return int(max(tokenizer.get_vocab().values())) + 1


def _end_of(tokenizer: Any) -> str | None:
    return next((name for name in ENDS if tokenizer.token_to_id(name) is not None), None)


def encode(tokenizer: Any, pairs: Sequence[Pair], length: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, int64 [n, length] each: targets are the tokens that follow.

    Those of the question, and padding, are `IGNORED`: the loss is on answers alone. Where a pair is too
    long, the question loses its beginning, down to half of the length, and the answer then its end.
    """
    ids = {name: tokenizer.token_to_id(own) for name, own in special_tokens(tokenizer).items()}
    inputs = torch.full((len(pairs), length), ids[PAD])
    targets = torch.full((len(pairs), length), IGNORED)
    for i, (question, answer) in enumerate(pairs):
        said = [*tokenizer.encode(answer, add_special_tokens=False).ids, ids[END]]
        asked = tokenizer.encode(question, add_special_tokens=False).ids
        room = max(length // 2, length - len(said))
        asked = asked[max(0, len(asked) - room + 1) :]
        whole = torch.tensor([*asked, ids[ANSWER], *said][: length + 1])
        inputs[i, : len(whole) - 1] = whole[:-1]
        targets[i, len(asked) : len(whole) - 1] = whole[len(asked) + 1 :]
    return inputs, targets


def _pairs(path: Path, length: int) -> Iterator[Pair]:
    text = read_text(path, "texts", MOST_BYTES)
    if path.suffix == ".txt":
        step = CHARACTERS * length
        yield from (("", text[start : start + step]) for start in range(0, len(text), step))
    elif path.suffix == ".jsonl":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield from _of_record(parse_json(line, f"{path}, line {number}"), f"{path}, line {number}")
    else:
        yield from _of_dialogue(parse_yaml(text, str(path)), str(path))


def _of_record(record: Any, where: str) -> Iterator[Pair]:
    fields = record if isinstance(record, dict) else {}
    if isinstance(fields.get("question"), str) and isinstance(fields.get("answer"), str):
        yield fields["question"], fields["answer"]
        return
    cases = fields.get("instances", [fields])
    if not isinstance(fields.get("instruction"), str) or not isinstance(cases, list):
        raise SnakegymError(
            f"{where}: found the fields {sorted(fields)!r:.200}, expected question and answer, or "
            "instruction and output"
        )
    for case in cases:
        if not isinstance(case, dict) or not isinstance(case.get("output"), str):
            raise SnakegymError(f"{where}: found an instruction without 'output', expected one")
        yield f"{fields['instruction']}\n{case.get('input', '')}".strip(), case["output"]


def _of_dialogue(document: Any, where: str) -> Iterator[Pair]:
    talks = document.get("conversations") if isinstance(document, dict) else None
    if not isinstance(talks, list):
        raise SnakegymError(f"{where}: found no 'conversations', expected a list of lists of turns")
    for talk in talks:  # some are a turn alone, which nobody answers
        turns = [str(turn) for turn in (talk if isinstance(talk, list) else [talk]) if turn is not None]
        yield from pairwise(turns)
