"""MaskablePPO that is pulled towards a policy it began as, ever less.

Kickstarting (Schmitt et al., 2018, https://arxiv.org/abs/1803.03835): the divergence KL(teacher || policy)
is part of the loss, at a weight that falls to 0. Without it the first updates, whose advantages are noise,
undo much of what was cloned before they improve anything.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.utils import explained_variance
from torch import Tensor, nn
from torch.nn import functional

from snakegym.agents.policy import NEVER


@dataclass(frozen=True)
class Pull:
    """How strong the pull is over the training."""

    weight: float
    """Of the divergence, in the loss of the first update."""
    share: float
    """Share of the training over which it falls to 0."""

    def at(self, progress_remaining: float) -> float:
        """The weight where that share of the training is left."""
        if self.share == 0:
            return 0.0
        return self.weight * max(0.0, 1 - (1 - progress_remaining) / self.share)


class KickstartedPPO(MaskablePPO):
    """As MaskablePPO, and exactly so from where the pull has ended; logs `train/pull` and `train/pull_kl`.

    Before `learn`, `begin_from` says what it is pulled towards. Actions are Discrete, the policy one of
    SB3's actor-critics with one embedding for actor and critic.
    """

    pull = Pull(0.0, 0.0)
    _teacher: Any = None

    def begin_from(self, pull: Pull, weights: dict[str, Tensor]) -> None:
        """Be pulled towards the policy with these weights, which is not necessarily the present one."""
        self.pull = pull
        self._teacher = copy.deepcopy(self.policy)
        self._teacher.load_state_dict(weights)
        self._teacher.set_training_mode(False)

    def _excluded_save_params(self) -> list[str]:
        """The teacher is no part of a checkpoint."""
        return [*super()._excluded_save_params(), "_teacher"]

    def train(self) -> None:
        """One update. With a pull it is that of sb3-contrib, whose loss cannot be added to, written anew."""
        weight = self.pull.at(self._current_progress_remaining)
        self.logger.record("train/pull", weight)
        if weight == 0 or self._teacher is None:
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        logged: list[dict[str, float]] = []
        for _ in range(self.n_epochs):
            within = True
            for batch in self.rollout_buffer.get(self.batch_size):
                loss, numbers = self._loss(batch, clip, weight)
                logged.append(numbers)
                within = self.target_kl is None or numbers["approx_kl"] <= 1.5 * self.target_kl
                if not within:
                    break
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
                nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
            self._n_updates += 1
            if not within:
                break
        for name in logged[0]:
            self.logger.record(f"train/{name}", float(np.mean([numbers[name] for numbers in logged])))
        buffer = self.rollout_buffer
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", explained)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", clip)

    def _loss(self, batch: Any, clip: float, weight: float) -> tuple[Tensor, dict[str, float]]:
        """Of a minibatch, and numbers to log."""
        masks = batch.action_masks.reshape(len(batch.actions), -1).bool()
        log_p, values = outputs(self.policy, batch.observations, masks)
        log_prob = log_p.gather(1, batch.actions.long())[:, 0]
        advantages = batch.advantages
        if self.normalize_advantage:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        log_ratio = log_prob - batch.old_log_prob
        ratio = log_ratio.exp()
        policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)).mean()
        if self.clip_range_vf is not None:
            most = self.clip_range_vf(self._current_progress_remaining)  # type: ignore[operator]
            values = batch.old_values + (values - batch.old_values).clamp(-most, most)
        value_loss = functional.mse_loss(batch.returns, values)
        entropy = _expected(log_p.exp(), -log_p)
        with torch.no_grad():
            wanted, _ = outputs(self._teacher, batch.observations, masks)
        away = _expected(wanted.exp(), wanted - log_p)
        loss = policy_loss - self.ent_coef * entropy + self.vf_coef * value_loss + weight * away
        return loss, {
            "entropy_loss": -float(entropy.detach()),
            "policy_gradient_loss": float(policy_loss.detach()),
            "value_loss": float(value_loss.detach()),
            "approx_kl": float((ratio - 1 - log_ratio).detach().mean()),
            "clip_fraction": float(((ratio - 1).abs() > clip).float().mean()),
            "loss": float(loss.detach()),
            "pull_kl": float(away.detach()),
        }


def outputs(policy: Any, observed: dict[str, Tensor], masks: Tensor | None) -> tuple[Tensor, Tensor]:
    """What an actor-critic of SB3 says; the embedding, which both have in common, is made once.

    Args:
        policy: with one embedding for actor and critic.
        observed: observations, batched.
        masks: bool [B, n_actions], legal actions; None: all are.

    Returns:
        Log-probabilities [B, n_actions], very low where masked, and values [B].
    """
    actor, critic = policy.mlp_extractor(policy.extract_features(observed))
    logits: Tensor = policy.action_net(actor)
    if masks is not None:
        logits = logits.masked_fill(~masks, NEVER)
    return logits.log_softmax(dim=1), policy.value_net(critic)[:, 0]


def _expected(p: Tensor, of: Tensor) -> Tensor:
    """Mean over the batch of the expectation under p, both [B, n_actions]; what is impossible counts 0."""
    return torch.where(p > 0, p * of, 0.0).sum(dim=1).mean()
