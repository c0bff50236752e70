"""Labels of a teacher: distributions over what is legal, most of all on what it would do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snakegym.agents.planning.lookahead import LookaheadScheduler
from snakegym.agents.registry import make_scheduler
from snakegym.agents.teaching import Teacher, check_teacher
from snakegym.control.records import FINISH, Assignment
from snakegym.envs.action import ActionCodec
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder, Scenario, load_scenario

SCENARIO = load_scenario("default")


def visited(
    scenario: Scenario, order: LayerOrder, n: int = 6, seed: int = 0
) -> list[tuple[Any, ActionCodec]]:
    """Views of an episode in which hops are drawn at random."""
    env = SerpentineEnv(scenario, layer_order=order)
    env.reset(seed=seed)
    rng, views = np.random.default_rng(seed), []
    for _ in range(n):
        views.append((env.view(), env.codec))
        if env.step(rng.choice(np.flatnonzero(env.action_masks()[:-2])))[2]:
            break
    return views


@pytest.mark.parametrize("order", ["free", "serpentine"])
@pytest.mark.parametrize(("spec", "temperature"), [("lookahead", 0.05), ("lookahead", 0.0), ("milp", 0.05)])
def test_labels_are_distributions_over_legal_actions(
    spec: str, temperature: float, order: LayerOrder
) -> None:
    views = visited(SCENARIO, order)
    teacher = Teacher(spec, SCENARIO, views[0][1], temperature)
    teacher.reset(0)
    for view, codec in views:
        label, decision = teacher.label(view)
        teacher.follow(view, None)
        assert label.shape == (codec.n_actions,)
        assert (label >= 0).all()
        assert label.sum() == pytest.approx(1)
        assert not label[~codec.mask(view)].any()
        assert label.argmax() == codec.encode(decision)
        assert (label.max() == 1) == (spec == "milp" or temperature == 0)


def test_a_hop_worth_a_temperature_less_is_e_times_less_likely() -> None:
    (view, codec), *_ = visited(SCENARIO, "free", 1)
    worth, _ = LookaheadScheduler(SCENARIO).advise(view)
    label, _ = Teacher("lookahead", SCENARIO, codec, 0.1).label(view)
    first, second = sorted(np.argwhere(worth > -np.inf).tolist(), key=lambda pair: -worth[tuple(pair)])[:2]
    likely = [label[codec.encode(Assignment(*pair))] for pair in (first, second)]
    gap = worth[tuple(first)] - worth[tuple(second)]
    assert likely[0] / likely[1] == pytest.approx(np.exp(gap / 0.1))


def test_where_nothing_pays_the_teacher_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    (view, codec), *_ = visited(SCENARIO, "free", 1)
    teacher = Teacher("lookahead", SCENARIO, codec, 1.0)
    nothing = np.full((view.n_nodes, view.n_middle), -0.5)
    monkeypatch.setattr(teacher.scheduler, "advise", lambda view: (nothing, FINISH))
    label, decision = teacher.label(view)
    assert decision is FINISH
    assert label[codec.finish] == 1


def test_a_teacher_that_advises_is_as_good_as_it_plans() -> None:
    """The search for each first hop finds no worse a plan than the one search does."""
    for view, _ in visited(SCENARIO, "free"):
        scheduler = LookaheadScheduler(SCENARIO)
        worth, decision = scheduler.advise(view)
        assert isinstance(decision, Assignment)
        assert worth.max() >= 0.97 * scheduler.plan(view).value


@pytest.mark.parametrize(
    ("spec", "named"), [("clairvoyant", "--imitate-privileged"), ("lokahead", "lookahead")]
)
def test_who_cannot_teach_is_refused(spec: str, named: str) -> None:
    with pytest.raises(SnakegymError, match=named):
        check_teacher(spec, SCENARIO, privileged=False)


def test_a_privileged_teacher_may_be_asked_for() -> None:
    teacher = check_teacher("clairvoyant", SCENARIO, privileged=True)
    assert type(teacher) is type(make_scheduler("clairvoyant", SCENARIO))


def test_ranks_are_not_taught() -> None:
    fields = SCENARIO.model_dump(mode="json")
    fields["learning"].update(trains="middle", lora={"rank": "free", "ranks": [1, 2]})
    with pytest.raises(SnakegymError, match=r"--imitate: .*'learning\.lora\.rank: free'"):
        check_teacher("lookahead", Scenario.model_validate(fields), privileged=False)
