"""Events in words, a line each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from snakegym.envs.render import amount

Event = dict[str, Any]


def told(event: Event) -> str:
    """What happened, and when."""
    clock = time.strftime("%H:%M:%S", time.localtime(event["at"]))
    say = _SAY.get(event["kind"])
    return f"{clock}  {event['kind'] if say is None else say(event)}"


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def percent(share: float | None) -> str:
    """A share, with one digit."""
    return "-" if share is None else f"{100 * share:.1f} %"


def _hop(event: Event) -> str:
    along = f" with {', '.join(event['along'])}" if event.get("along") else ""
    rank = f" at rank {event['rank']}" if event.get("rank") else ""
    broken = f", interrupted ({event['interrupted']})" if event.get("interrupted") else ""
    return (
        f"hop {event['hop']}: {event['node']} trained layer {event['layer']}{rank}{along}; "
        f"{percent(event['metric'])} ({100 * event['gain']:+.1f}), "
        f"{duration(event['clock_s'] - event['start_s'])}, {amount(event['energy_j'], 'J')}, "
        f"{amount(event['n_bytes'], 'B')}{broken}{_shadow(event)}"
    )


def _called(event: Event) -> str:
    """What its metric is."""
    return str(event.get("called", "accuracy"))


def _shadow(event: Event) -> str:
    shadow = event.get("shadow")
    if not shadow:
        return ""
    choice = "failed" if "failed" in shadow else shadow.get("decision")
    return f" [{shadow['scheduler']}: {choice or '{node}, layer {layer}'.format(**shadow)}]"


_SAY: dict[str, Callable[[Event], str]] = {
    "started": lambda e: f"begun on {e['machine']}, {_called(e)} {percent(e['metric'])}",
    "resumed": lambda e: f"resumed on {e['machine']} after {e['hops']} hops",
    "hop": _hop,
    "waited": lambda e: f"waited ({e['reason']}){_shadow(e)}",
    "pool": lambda e: f"{e['node']} {'joined' if e['joined'] else 'left'} ({e['reason']})",
    "recovery": lambda e: (
        f"gave up {e['lost']}, went back to {e['source'] or 'the PCE'}: {e['hops_lost']} hops lost"
    ),
    "leased": lambda e: f"leased: {', '.join(e['nodes'])}",
    "released": lambda e: f"released: {', '.join(e['nodes'])}",
    "lost": lambda e: f"lost: {e['node']}",
    "sla": lambda e: f"promise {e['state']}: {e['promise']} {e['promised']:g}, found {e['found']:.3g}",
    "ended": lambda e: (
        f"ended ({e['reason']}): {_called(e)} {percent(e['metric'])}, on the test part "
        f"{percent(e.get('test_accuracy'))}"
    ),
    "failed": lambda e: f"failed: {e['reason']}",
}
