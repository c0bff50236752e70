"""Who gets which nodes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.training.cluster.provider.allocation import Demand, Offer, Plan, allocate

NAMES = [f"n{i}" for i in range(6)]
ALL = frozenset(NAMES)


def demand(process: str, priority: int, least: int, wish: int, **more: object) -> Demand:
    return Demand(process, priority, int(process[1:]), least, wish, **{"able": ALL, **more})  # type: ignore[arg-type]


def offers(n: int, slots: int = 1, busy: tuple[str, ...] = ()) -> list[Offer]:
    return [Offer(name, slots, busy.count(name)) for name in NAMES[:n]]


def test_the_least_busy_first() -> None:
    plan = allocate([demand("p1", 5, 1, 2)], offers(4, slots=2, busy=("n0", "n1", "n3")))
    assert plan == Plan({"p1": ["n2", "n0"]})


def test_higher_priority_then_older() -> None:
    plan = allocate([demand("p1", 3, 2, 2), demand("p2", 3, 2, 2), demand("p3", 7, 2, 2)], offers(4))
    assert plan.grants == {"p3": ["n0", "n1"], "p1": ["n2", "n3"]}


def test_none_begins_with_too_few_and_none_takes_what_is_kept_for_others() -> None:
    plan = allocate([demand("p1", 3, 1, 1), demand("p2", 7, 4, 4)], offers(3))
    assert plan == Plan()


def test_nodes_are_taken_from_the_less_important() -> None:
    low = demand("p1", 3, 1, 3, held=("n0", "n1", "n2"), begun=True)
    high = demand("p2", 7, 2, 3)
    plan = allocate([low, high], offers(3, busy=low.held))
    assert plan == Plan(takes={"p1": ["n2", "n1"]})
    coming = [Offer("n0", 1, 1), Offer("n1", 1, 1, 1), Offer("n2", 1, 1, 1)]
    less = demand("p1", 3, 1, 3, held=("n0",), begun=True)
    assert allocate([less, high], coming) == Plan(), "what is on its way is not taken twice"


def test_equals_keep_what_they_have() -> None:
    held = demand("p1", 5, 1, 3, held=("n0", "n1", "n2"), begun=True)
    assert allocate([held, demand("p2", 5, 1, 1)], offers(3, busy=held.held)) == Plan()


def test_a_broken_promise_is_a_reason_for_more() -> None:
    low = demand("p1", 3, 1, 2, held=("n0", "n1"), begun=True)
    calm = demand("p2", 7, 1, 2, held=("n2",), begun=True)
    urgent = demand("p2", 7, 1, 2, held=("n2",), begun=True, urgent=True)
    assert allocate([low, calm], offers(3, busy=("n0", "n1", "n2"))) == Plan()
    assert allocate([low, urgent], offers(3, busy=("n0", "n1", "n2"))) == Plan(takes={"p1": ["n1"]})


def test_nothing_is_kept_or_taken_for_who_cannot_begin() -> None:
    """There are too few nodes as it wants them, or too few that may be taken."""
    low = demand("p1", 3, 1, 3, held=("n0",), begun=True)
    choosy = demand("p2", 7, 2, 2, able=frozenset({"n2"}))
    assert allocate([low, choosy], offers(3, busy=low.held)).grants == {"p1": ["n1", "n2"]}
    held = demand("p1", 3, 2, 3, held=("n0", "n1", "n2"), begun=True)
    assert allocate([held, demand("p2", 7, 2, 2)], offers(3, busy=held.held)) == Plan()


@st.composite
def states(draw: st.DrawFn) -> tuple[list[Demand], list[Offer]]:
    slots = {name: draw(st.integers(1, 2)) for name in NAMES}
    free = dict(slots)
    demands = []
    for i in range(draw(st.integers(1, 5))):
        begun = draw(st.booleans())
        held = [n for n in NAMES if begun and free[n] and draw(st.booleans())]
        for name in held:
            free[name] -= 1
        least = draw(st.integers(1, 3))
        able = frozenset(draw(st.lists(st.sampled_from(NAMES), unique=True)))
        demands.append(
            Demand(
                f"p{i}",
                draw(st.integers(0, 2)),
                i,
                least,
                draw(st.integers(least, 6)),
                able,
                tuple(held),
                begun,
                draw(st.booleans()),
            )
        )
    return demands, [Offer(n, slots[n], slots[n] - free[n]) for n in NAMES]


@settings(max_examples=500, deadline=None)
@given(states())
def test_rules_hold(state: tuple[list[Demand], list[Offer]]) -> None:
    demands, there = state
    plan = allocate(demands, there)
    by_id = {d.process: d for d in demands}
    for offer in there:
        granted = sum(nodes.count(offer.name) for nodes in plan.grants.values())
        assert granted <= offer.slots - offer.busy
    for process, nodes in plan.grants.items():
        asked = by_id[process]
        assert set(nodes) <= asked.able
        assert not {*nodes} & {*asked.held}
        assert len(nodes) == len({*nodes})
        assert len(asked.held) - len(plan.takes.get(process, ())) + len(nodes) <= asked.wish
        assert asked.begun or len(asked.held) + len(nodes) >= asked.least
    highest = max(d.priority for d in demands)
    for process, nodes in plan.takes.items():
        asked = by_id[process]
        assert asked.priority < highest
        assert set(nodes) <= {*asked.held}
        assert len(asked.held) - len(nodes) >= asked.least


@settings(max_examples=500, deadline=None)
@given(states())
def test_it_comes_to_rest(state: tuple[list[Demand], list[Offer]]) -> None:
    """Carried out again and again, nothing is left to do."""
    demands, there = state
    for _ in range(40):
        plan = allocate(demands, there)
        if not plan.grants and not plan.takes:
            break
        held = {d.process: [*d.held] for d in demands}
        for process, nodes in plan.takes.items():
            held[process] = [n for n in held[process] if n not in nodes]
        for process, nodes in plan.grants.items():
            held[process] += nodes
        demands = [
            Demand(
                d.process,
                d.priority,
                d.age,
                d.least,
                d.wish,
                d.able,
                tuple(held[d.process]),
                d.begun or d.process in plan.grants,
                d.urgent,
            )
            for d in demands
        ]
        there = [Offer(o.name, o.slots, sum(o.name in d.held for d in demands)) for o in there]
    assert plan == Plan()
