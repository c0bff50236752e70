"""Cloning: a policy learns to choose as a teacher would, and its critic what comes of that."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snakegym.agents.kickstart import outputs
from snakegym.training.learn.imitation.states import OBSERVED, Array, States

BATCH = 256
"""Decisions of one gradient step, at most."""
STEPS = 64
"""Gradient steps of a pass, at least, if that many decisions are there: of few, steps are small."""
PATIENCE = 4
"""Passes in a row without a lower loss on episodes kept aside, after which it ends."""
ASIDE = 10
"""One episode of so many is kept aside."""
VALUE = 0.25
"""Weight of the critic's error, as a share of the returns' variance."""
LARGEST_NORM = 1.0
"""Longer gradients are cut to this length."""
COLUMNS = ("round", "epoch", "train_loss", "loss", "agreement", "value_error")
"""Of clone.csv. The losses: divergence (nats) of the policy's choice from the teacher's, in training and on
the episodes kept aside; there too the share of decisions in which both would do the same, and the root of the
mean squared error of predicted values, in reward units."""

Policy = Any
"""Of SB3: an actor-critic."""
Row = dict[str, float]


@dataclass
class Lesson:
    """What is to be learned in one scenario: a policy of its size, and states in two parts."""

    policy: Policy
    """Shares its weights with those of other lessons."""
    states: States
    fit: Array = field(init=False)
    """Indices of states to learn from."""
    aside: Array = field(init=False)
    """Indices of states of other episodes, to see how well it was learned."""

    def __post_init__(self) -> None:
        episodes = np.unique(self.states.episode)
        kept = episodes[ASIDE - 1 :: ASIDE] if len(episodes) >= ASIDE else episodes[-1:]
        aside = np.isin(self.states.episode, kept)
        if aside.all():  # of one episode
            aside = np.arange(len(self.states)) % ASIDE == ASIDE - 1
        self.fit, self.aside = np.flatnonzero(~aside), np.flatnonzero(aside)


def of_the_same_weights(policy: Policy, other: Policy) -> Policy:
    """The other one, of another size, made to share the first one's parameters."""
    for name, parameter in policy.named_parameters():
        owner, _, leaf = name.rpartition(".")
        setattr(other.get_submodule(owner), leaf, parameter)
    return other


def clone(
    policy: Policy,
    lessons: Sequence[Lesson],
    *,
    epochs: int,
    learning_rate: float,
    values: bool,
    masked: bool,
    seed: int,
    passed: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Teach a policy; it is left with the weights that did best on the episodes kept aside.

    Args:
        policy: an actor-critic of SB3, whose weights those of all lessons share.
        lessons: one a scenario.
        epochs: passes at most.
        learning_rate: of the first step; it falls to 0 linearly.
        values: whether the critic learns as well.
        masked: whether the policy takes action masks; one that does not has to learn them.
        seed: of the order in which states are taken.
        passed: is told each row.

    Returns:
        Rows of clone.csv, the first of the fresh policy.
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate, eps=1e-5)
    steps = epochs * sum(1 for _ in _batches(lessons, None))
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
    valued = np.concatenate([one.states.returns[one.states.valued] for one in lessons])
    scale = VALUE / max(float(valued.var()), 1e-6) if values and len(valued) else 0.0
    rows: list[Row] = []
    best: dict[str, Tensor] = {}
    lowest, since = np.inf, 0
    for epoch in range(epochs + 1):
        losses = []
        for lesson, which in _batches(lessons, rng) if epoch else ():
            answers = _answers(lesson, which, masked)
            divergence = answers.divergence.mean()
            optimizer.zero_grad()
            loss = divergence + scale * (answers.squared_error * answers.valued).mean()
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            torch.nn.utils.clip_grad_norm_(policy.parameters(), LARGEST_NORM)
            optimizer.step()
            falling.step()
            losses.append(float(divergence.detach()))
        row = {"epoch": epoch} | ({"train_loss": float(np.mean(losses))} if losses else {})
        rows.append(row | _examined(lessons, masked))
        passed(rows[-1])
        since += 1
        if rows[-1]["loss"] < lowest:
            lowest, since, best = rows[-1]["loss"], 0, copy.deepcopy(policy.state_dict())
        if since >= PATIENCE:
            break
    if best:
        policy.load_state_dict(best)
    return rows


def _batches(lessons: Sequence[Lesson], rng: np.random.Generator | None) -> Iterator[tuple[Lesson, Array]]:
    """Minibatches of one size each, in random order; in the order of the states without `rng`."""
    cut: list[tuple[Lesson, Array]] = []
    size = min(BATCH, max(1, sum(len(lesson.fit) for lesson in lessons) // STEPS))
    for lesson in lessons:
        order = lesson.fit if rng is None else rng.permutation(lesson.fit)
        cut += [(lesson, order[i : i + size]) for i in range(0, len(order), size)]
    places = range(len(cut)) if rng is None else rng.permutation(len(cut)).tolist()
    return (cut[i] for i in places)


@dataclass(frozen=True)
class _Answers:
    """Of a policy to decisions of a lesson; all but the first two are [B]."""

    log_p: Tensor
    label: Tensor
    divergence: Tensor
    """Of the policy from the label, in nats."""
    squared_error: Tensor
    """Of the value."""
    valued: Tensor
    """Whether that counts."""


def _answers(lesson: Lesson, which: Array, masked: bool) -> _Answers:
    states, device = lesson.states, lesson.policy.device

    def here(values: Array, kind: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(values[which], dtype=kind, device=device)

    observed = {key: here(getattr(states, key)) for key in OBSERVED}
    log_p, value = outputs(lesson.policy, observed, here(states.mask, torch.bool) if masked else None)
    label = here(states.label)
    label = label / label.sum(dim=1, keepdim=True)  # rounded to half precision it is not quite 1
    away = torch.special.xlogy(label, label) - torch.where(label > 0, label * log_p, 0.0)
    error = (value - here(states.returns)) ** 2
    return _Answers(log_p, label, away.sum(dim=1), error, here(states.valued, torch.bool))


@torch.no_grad()
def _examined(lessons: Sequence[Lesson], masked: bool) -> Row:
    """Of the episodes kept aside, every decision alike."""
    found = [
        _answers(lesson, lesson.aside[i : i + BATCH], masked)
        for lesson in lessons
        for i in range(0, len(lesson.aside), BATCH)
    ]
    agree = [(a.log_p.argmax(dim=1) == a.label.argmax(dim=1)).float() for a in found]
    squared = torch.cat([a.squared_error[a.valued] for a in found])
    return {
        "loss": float(torch.cat([a.divergence for a in found]).mean()),
        "agreement": float(torch.cat(agree).mean()),
        "value_error": float(squared.mean().sqrt()) if len(squared) else 0.0,
    }
