"""The Process Controller's decision as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.records import FINISH, Assignment, Decision, Job, Outcome
from snakegym.control.service import Service
from snakegym.control.view import ProcessView
from snakegym.envs.arguments import (
    RENDER_MODES,
    check_choices,
    checked_device,
    checked_folder,
    checked_keys,
    plain_spec,
)
from snakegym.envs.forms import Form, make_encoder
from snakegym.envs.info import NO_REWARDS, info_of
from snakegym.envs.problems import One, chosen, common_codec, load_problems
from snakegym.envs.render import draw_frame, write_frame
from snakegym.envs.reward import reward_terms
from snakegym.learning.stacked.engine import EngineKind
from snakegym.scenario import LayerOrder, Scenario, Split

Observation = Any
"""Whatever the form asked for makes of a view: `ViewEncoder` and its siblings in `snakegym.envs.forms`."""
StepResult = tuple[Observation, float, bool, bool, dict[str, Any]]


class SerpentineEnv(gym.Env[Observation, np.int64]):
    """Schedule Snake Learning: which node trains which middle layer next, and when that is enough.

    ## Description
    One model wanders over the nodes of a mobile network. At every step the agent, as the network's
    Process Controller, chooses a node and a middle layer; the node receives the layers it lacks,
    **really trains** (in PyTorch, on its own samples) that layer together with the first and the
    last, and hands on what changed. Time, energy and bytes are charged on a network that is
    replayed from traces and changes while the hop runs. The agent never sees the future.

    ## Action space
    `Discrete(n_nodes * n_middle + 2)`: action = node * n_middle + layer; then one that waits `wait_s`
    seconds, and last one that finishes the process as it is, at no cost. Where the scenario (or
    `layer_order`) fixes the order of layers, the action is the node alone: `Discrete(n_nodes + 2)`.
    `action_masks()` (bool) and `info["action_mask"]` (int8, for `action_space.sample`) tell which actions
    are legal: the node is in the pool and reachable and has the memory and the battery, the layer is not
    yet trained in this cycle. Waiting and finishing always are. An illegal action is a penalised wait,
    counted in `info["illegal"]`. Where k nodes train a layer together (`process.parallel`), an action names
    one, and the scenario's rule (`process.companions`) who goes along: all k would be n_nodes over k actions
    a layer. A planner may name all of them, in a decision (`step_as`).
    Where the agent chooses the rank of adapters as well (`learning.lora.rank: free`), each of these actions
    but the last two is there once for each of the R `ranks`, the lowest first: action = (node * n_middle +
    layer) * R + rank's place; the mask knows for which ranks there is memory (and battery).

    ## Observation space
    `Dict` of float32 boxes within [-1, 1]; the names of the columns are in `snakegym.envs.features`:

    | key | shape | what |
    |---|---|---|
    | `nodes` | [n_nodes * 39] | compute, links, outages (now and before), memory, battery, data, visits |
    | `layers` | [n_middle * 12] | place, FLOPs, bytes, memory, when trained, open, last gain, holders |
    | `pairs` | [n_nodes * n_middle * 12] | as actions: legal, forecast costs, fit, held, when trained, gain |
    | `ranks` | [n_nodes * n_middle * R * 9] | as actions, where ranks are chosen: legal, forecast costs |
    | `process` | [23] | metric, target, gains, cycle, of every budget what is spent and left, prices |

    Whatever can end an episode is in it. This is the form `dict`. `observation="flat"` gives them in a
    row, one box [n], which many libraries and all DQNs want; `observation="masked"` a dict of the flat box
    under `observation_key` and the mask, bool [n_actions], under `mask_key`. Both have ids of their own:
    `SerpentineFlat-v1`, `SerpentineMasked-v1`. docs/other-libraries.md says who wants which.

    ## Rewards
    `gain * (m_t - m_{t-1}) - time * dt/tau - energy * dE/eps - bytes * dB/beta - penalties`, with
    m the accuracy on the *validation* part of the data, and tau, eps, beta the nominal costs of
    a hop (`objective` in the scenario). The terms are in `info["reward_gain"]`, `info["reward_time"]` and
    so on. Summed over an episode: accuracy gained minus total costs. The test part of the data is never
    touched.

    Who measures m is the scenario's choice, and charged: in P2P mode the node that trained
    (`process.evaluation: node`, the default: the FLOPs of its validation samples, their time and
    energy) or the PCE (`pce`: the upload of what it lacks, its bytes, time and energy); in CS mode
    the PCE, which has the model anyway. A measurement that is interrupted leaves m as it was.

    ## Starting state
    Nodes, traces (of `split`) with offsets, partition of the data and initial model are drawn
    from the seed; nothing is trained; the PCE holds the model. Of several scenarios one is drawn first
    (`reset(options={"scenario": name})` names it): spaces are those of the most nodes and layers, with zeros
    and illegal actions where a process has fewer.

    ## Episode end
    *Terminated* when the agent finishes, when the validation accuracy reaches the scenario's target (if it
    has one), and when the budget of time, energy, hops or decisions is used up: budgets belong to the
    problem, and what is left of them is in the observation. Never *truncated*; that is for `TimeLimit`.

    The time budget is a deadline: the hop (or wait) under way stops there, and is charged until then. The
    batches that fitted count where their update already is: on the node (P2P), in CS mode nowhere. m is
    what was last measured: a hop that is to be rewarded has to be measured in time.

    ## Arguments
    * `scenario`: name of a scenario, path of a YAML or JSON file, its fields as plain data, or a `Scenario`;
      or several: a list of them, names parted by commas, or `all` that need no data.
    * `split`: traces to replay: `train`, `validation` or `test`.
    * `traces`: folder with `link/*.csv` and `compute/*.csv` instead of the scenario's source.
    * `layer_order`: `free`, `serpentine`, `reverse` or `random` instead of the scenario's.
    * `render_mode`: `ansi` or `rgb_array`.
    * `engine`: `stacked`, or `sequential`, the reference in plain PyTorch: the same numbers up to rounding,
      slower where the model is dense. What the first has no form for, it leaves to the second.
    * `device`: where the stacked engine computes, as PyTorch names it: `cpu`, `cuda`.
    * `observation`: `dict`, `flat` or `masked`; `observation_key`, `mask_key`: the keys of `masked`, by
      default those of RLlib and TorchRL, `observations` and `action_mask`.

    Whatever is wrong with an argument raises SnakegymError, which names it.

    ## Info
    Flat, with the same keys after every reset and step; plain numbers, but for the mask:

    | key | what |
    |---|---|
    | `action_mask` | int8 [n_actions]: 1 where the action is legal |
    | `reward_gain`, `reward_time`, `reward_energy`, `reward_bytes`, `reward_illegal` | terms of this reward |
    | `metric` | accuracy on the validation part |
    | `time_s`, `energy_j`, `n_bytes` | spent so far |
    | `hops`, `waits`, `illegal`, `interruptions`, `cycle` | how many so far |
    | `recoveries` | times that a lost holder was given up |
    | `members` | nodes in the pool |
    | `scenario` | index of the scenario among those given |
    | `left_connectivity`, `left_battery` … | nodes that left it so far for this reason (`envs.info.LEAVES`) |
    | `ended_finish`, `ended_target`, `ended_time` … | 1 where this ended it (`envs.info.ENDINGS`) |

    ## Version history
    * v1: the action `finish`; budgets terminate, and do not truncate; the time budget is a deadline, at which
      hops and waits stop. The observation has pairs, the history of nodes, and every budget. Policies learned
      on v0 are refused. The shipped scenarios are others: their middle layers were all alike, and differ now.
    * v0: first version.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 2}  # noqa: RUF012
    _spec: EnvSpec | None = None

    def __init__(
        self,
        scenario: One | Sequence[One] = "default",
        split: Split = "train",
        traces: str | Path | None = None,
        layer_order: LayerOrder | None = None,
        render_mode: str | None = None,
        engine: EngineKind = "stacked",
        device: str = "cpu",
        observation: Form = "dict",
        observation_key: str = "observations",
        mask_key: str = "action_mask",
    ) -> None:
        check_choices(
            split=split,
            layer_order=layer_order,
            render_mode=render_mode,
            engine=engine,
            observation=observation,
        )
        checked_keys(observation_key=observation_key, mask_key=mask_key)
        folder = checked_folder("traces", traces)
        device = checked_device(device, engine)
        self.problems = load_problems(scenario, layer_order, split, folder, engine, device)
        self._problem = 0
        self.render_mode = render_mode
        self.codec = common_codec(self.problems)
        self.encoder = make_encoder(observation, self.codec, observation_key, mask_key)
        self.action_space = spaces.Discrete(self.codec.n_actions)
        self.observation_space = self.encoder.space
        self._controller: ProcessController | None = None
        self._executor: SimulatedExecutor | None = None
        self._job: Job | None = None
        self._finishing = False
        self._illegal = 0
        self._illegal_now = False

    @property
    def spec(self) -> EnvSpec | None:
        """How `gym.make` made this environment; its arguments are plain data, so `to_json` works."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = plain_spec(spec)

    @property
    def scenario(self) -> Scenario:
        """Of the running process; before the first reset, the first of those given."""
        return self.problems[self._problem].scenario

    @property
    def service(self) -> Service:
        """What the processes of that scenario share."""
        return self.problems[self._problem].service

    @property
    def controller(self) -> ProcessController:
        """The controller of the running process. Raises ResetNeeded before the first reset."""
        if self._controller is None:
            raise ResetNeeded("call reset() first")
        return self._controller

    @property
    def executor(self) -> SimulatedExecutor:
        """Carries out the jobs of `begin`. Raises ResetNeeded before the first reset."""
        if self._executor is None:
            raise ResetNeeded("call reset() first")
        return self._executor

    def view(self) -> ProcessView:
        """What the Process Controller knows now: the input of a scheduler."""
        return self.controller.view()

    def action_masks(self) -> NDArray[np.bool_]:
        """Bool [n_actions]: legal actions (the name that MaskablePPO asks for)."""
        return self.codec.mask(self.view())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a new process; the option `scenario` names one of those given. Raises SnakegymError."""
        super().reset(seed=seed)
        self._problem = chosen(self.problems, (options or {}).get("scenario"), self.np_random)
        self._controller, self._executor = self.service.start(self.np_random)
        self._job, self._finishing, self._illegal, self._illegal_now = None, False, 0, False
        return self.encoder.encode(self.view()), self._info(NO_REWARDS)

    def step(self, action: np.int64 | int) -> StepResult:
        """One decision and the hop that follows it."""
        job = self.begin(action)
        return self.finish(None if job is None else self.executor.run(job))

    def step_as(self, decision: Decision) -> StepResult:
        """As `step`, of what a scheduler says; SnakegymError: companions that are not legal, too."""
        self.codec.encode(decision, self.view())
        job = self._begin(decision)
        return self.finish(None if job is None else self.executor.run(job))

    def begin(self, action: np.int64 | int) -> Job | None:
        """First half of a step: the job to carry out, or None if there is nothing to train.

        Raises:
            SnakegymError: the action is not in the action space, or a step is half done.
            ResetNeeded: the episode is over.
        """
        return self._begin(self.codec.decode(self.codec.checked(action), self.view()))

    def _begin(self, decision: Decision) -> Job | None:
        if self.controller.ended:
            raise ResetNeeded(f"the episode is over ({self.controller.ended}): call reset()")
        view, hop = self.view(), decision if isinstance(decision, Assignment) else None
        self._illegal_now = hop is not None and not view.allows(hop.node, hop.layer, hop.rank)
        self._job = self.controller.dispatch(hop) if hop is not None and not self._illegal_now else None
        self._finishing = decision is FINISH
        return self._job

    def finish(self, outcome: Outcome | None) -> StepResult:
        """Second half of a step: book the outcome of `begin`'s job (None if it gave none)."""
        controller, before = self.controller, self.controller.metric
        if self._job is not None and outcome is not None:
            costs = controller.complete(self._job.id, outcome).costs
        elif self._finishing:
            costs = controller.finish()
        else:
            costs = controller.wait()
        gain = controller.metric - before  # not the hop's alone: a lost holder takes its gain with it
        self._job = None
        self._illegal += self._illegal_now
        rewards = reward_terms(self.scenario.objective, gain, costs, self._illegal_now)
        observation, info = self.encoder.encode(self.view()), self._info(rewards)
        return observation, sum(rewards.values()), bool(controller.ended), False, info

    def render(self) -> str | NDArray[np.uint8] | None:
        """The network and the snake: text (`ansi`) or a picture [height, width, 3] (`rgb_array`)."""
        if self.render_mode == "ansi":
            return write_frame(self.view(), self.controller.history)
        if self.render_mode == "rgb_array":
            return draw_frame(self.view(), self.controller.history)
        return None

    def __getstate__(self) -> dict[str, Any]:
        """All but what is made from the rest: pickled and copied environments go on bit-exactly."""
        return {**vars(self), "_executor": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._controller is not None:
            self._executor = self.service.executor_for(self._controller)

    def _info(self, rewards: Mapping[str, float]) -> dict[str, Any]:
        return info_of(self.controller, self.codec, rewards, self._illegal, self._problem)
