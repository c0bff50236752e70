"""What targets mean: classification as ever, and tokens of which some do not count."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from snakegym.data.datasets import Dataset
from snakegym.data.tasks import CLASSIFICATION, IGNORED, Language, Tally
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.learning.stacked.engine import make_engine
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.scenario import DistillationConfig, LearningConfig

TOKENS = 7


def text(seed: int, n: int = 4, length: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets, of which about half count."""
    g = torch.Generator().manual_seed(seed)
    targets = torch.randint(TOKENS, (n, length), generator=g)
    targets[torch.rand(n, length, generator=g) < 0.5] = IGNORED
    return torch.randn(n, length, TOKENS, generator=g), targets


def toy(n: int = 24, length: int = 6) -> Dataset:
    """The token that follows is the next one in a circle; the first half of each text does not count."""
    g = torch.Generator().manual_seed(0)
    inputs = (torch.randint(TOKENS, (n, 1), generator=g) + torch.arange(length)) % TOKENS
    targets = (inputs + 1) % TOKENS
    targets[:, : length // 2] = IGNORED
    return Dataset(inputs, targets, 2, Language(TOKENS), torch.arange(n) % 2)


def network() -> LayeredModel:
    return LayeredModel([nn.Embedding(TOKENS, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, TOKENS)])


@settings(deadline=None)
@given(st.integers(0, 500))
def test_the_loss_is_the_mean_over_tokens_that_count(seed: int) -> None:
    outputs, targets = text(seed)
    rows = [
        -torch.log_softmax(outputs[i, t], 0)[targets[i, t]]
        for i in range(4)
        for t in range(5)
        if targets[i, t] != IGNORED
    ]
    expected = torch.stack(rows).mean() if rows else torch.zeros(())
    torch.testing.assert_close(Language(TOKENS).loss(outputs, targets), expected)
    tally = Language(TOKENS).tally(outputs, targets)
    assert tally.n == len(rows)
    assert tally.loss == pytest.approx(float(expected) * len(rows), rel=1e-5)
    right = sum(int(outputs[i, t].argmax() == targets[i, t]) for i in range(4) for t in range(5))
    assert tally.right == right


@settings(deadline=None)
@given(st.integers(0, 500), st.floats(0.5, 10))
def test_a_student_of_its_own_teacher_has_nothing_to_learn(seed: int, temperature: float) -> None:
    outputs, targets = text(seed)
    outputs.requires_grad_(True)
    soft = torch.softmax(outputs.detach() / temperature, -1)
    Language(TOKENS).distillation_loss(outputs, targets, soft, temperature).backward()
    assert outputs.grad is not None
    assert float(outputs.grad.abs().max()) < 1e-5
    counting = targets != IGNORED
    other = torch.softmax(torch.randn_like(outputs), -1)
    outputs.grad = None
    Language(TOKENS).distillation_loss(outputs, targets, other, temperature).backward()
    assert not outputs.grad[~counting].any()


def test_score_and_perplexity_by_hand() -> None:
    task = Language(TOKENS)
    nothing = task.tally(torch.zeros(2, 3, TOKENS), torch.zeros(2, 3, dtype=torch.int64))
    assert task.score(nothing) == pytest.approx(0, abs=1e-6)
    assert task.value(nothing.loss / nothing.n, 0.0) == pytest.approx(TOKENS)
    sure = 1e4 * functional.one_hot(torch.zeros(2, 3, dtype=torch.int64), TOKENS).float()
    assert task.score(task.tally(sure, torch.zeros(2, 3, dtype=torch.int64))) == 1
    assert task.score(task.tally(sure, torch.ones(2, 3, dtype=torch.int64))) == 0, (
        "worse than knowing nothing"
    )
    assert task.score(Tally(0.5 * math.log(TOKENS) * 8, 0, 8)) == pytest.approx(0.5)
    assert task.value(0.5 * math.log(TOKENS), 0.5) == pytest.approx(TOKENS**0.5)
    assert task.value(1e4, 0.0) == math.inf
    assert task.score(Tally(0.0, 0, 0)) == 0, "nothing counts"


def test_a_batch_of_questions_alone_is_no_nan() -> None:
    outputs, targets = text(0)
    loss = Language(TOKENS).loss(outputs.requires_grad_(True), torch.full_like(targets, IGNORED))
    loss.backward()
    assert float(loss.detach()) == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_labels_are_what_samples_are_about() -> None:
    data = toy()
    assert data.labels.tolist() == [0, 1] * 12
    plain = Dataset(torch.zeros(3, 2), torch.tensor([0, 2, 1]), 3)
    assert plain.labels is plain.targets
    assert plain.task is CLASSIFICATION


@pytest.mark.parametrize("kind", ["sequential", "stacked"])
def test_engines_learn_and_evaluate_tokens(kind: str) -> None:
    model, data = network(), toy()
    engine, state = make_engine(model, kind), model.initial_state(0)
    config = LearningConfig(batch_size=8, epochs=10, learning_rate=0.02)
    before = engine.evaluate([state], data)[0]
    jobs = [LocalTraining(state, m, data, torch.arange(24), config, 0.02, m) for m in (0, 1)]
    results = engine.train(jobs)
    after = engine.evaluate([r.state for r in results], data)
    assert all(e.score > 0.5 > before.score for e in after)
    model.load(results[0].state)
    loss = functional.cross_entropy(model(data.inputs).flatten(0, 1), data.targets.flatten())
    assert after[0].loss == pytest.approx(float(loss), rel=1e-5)


def test_evaluation_in_pieces_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = network(), toy()
    engine, state = SequentialEngine(model), model.initial_state(0)
    (whole,) = engine.evaluate([state], data)
    monkeypatch.setattr("snakegym.data.tasks.EVALUATED_FLOATS", 5 * 6 * TOKENS)
    assert Language(TOKENS).chunk(data.targets) == 5
    (pieces,) = engine.evaluate([state], data)
    assert pieces.loss == pytest.approx(whole.loss, rel=1e-6)
    assert pieces.score == pytest.approx(whole.score, rel=1e-6)


def test_teachers_of_tokens() -> None:
    """A teacher that is as the student begins holds it back."""
    model, data = network(), toy()
    state = model.initial_state(0)

    def distance(distil: bool) -> float:
        config = LearningConfig(
            batch_size=8, epochs=4, distillation=DistillationConfig(weight=100.0, temperature=1.0)
        )
        job = LocalTraining(state, 0, data, torch.arange(24), config, 1e-2, 1, distil=distil)
        (result,) = SequentialEngine(model).train([job])
        return drift(state, result.state)

    assert distance(True) < 0.5 * distance(False)


def drift(one: ModelState, other: ModelState) -> float:
    return math.sqrt(
        sum(
            float(((a[name] - b[name]) ** 2).sum())
            for a, b in zip(one.layers, other.layers, strict=True)
            for name in a
        )
    )
