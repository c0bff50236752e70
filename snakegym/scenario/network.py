"""The network: devices, the recordings behind links and machine load, and how parameters travel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from snakegym.scenario.devices import DEVICES
from snakegym.scenario.section import (
    Bytes,
    Flops,
    Joules,
    Line,
    Mode,
    PathText,
    Ratio,
    Seconds,
    Section,
    Watts,
)


class DeviceConfig(Section):
    """A kind of device: a named profile, numbers, or a profile with some numbers replaced."""

    profile: Line | None = None
    """A key of `snakegym.scenario.devices.DEVICES`: fills in whatever is not given here."""
    name: Line
    """For people; default: the profile's. Several kinds may bear one name."""
    share: Ratio = 1.0
    """How common it is among the nodes, relative to the others."""
    peak_flops: Flops
    """FLOP/s sustained in training when the device is idle otherwise."""
    memory_bytes: Bytes
    """For a hop: weights, gradients, state of the optimiser and activations."""
    compute_power_w: Watts
    """Of the whole device under load."""
    radio_power_w: Watts
    """Of its modem while it sends or receives; 0: it has none of its own."""
    battery_j: Joules | None = None
    """Energy the device may spend in an episode; null: mains."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        profile = given.get("profile") if isinstance(given, dict) else None
        if profile is None:
            return given
        if not isinstance(profile, str) or profile not in DEVICES:
            raise ValueError(f"unknown profile {profile!r:.60}: expected one of {', '.join(DEVICES)}")
        return {"name": profile, **DEVICES[profile], **given}


class MendRules(Section):
    """How recordings become traces (`snakegym.network.traces.mend`)."""

    gap_s: Seconds = 10.0
    """A link that is silent for longer than this beyond its usual step was out."""
    missing_direction: Literal["ratio", "same", "refuse"] = "ratio"
    """What a link whose recording has one direction only does in the other one: `ratio`: uplink is
    `uplink_ratio` times downlink; `same`: equally fast; `refuse`: such recordings are not used."""
    uplink_ratio: Ratio = 0.25
    """Order of the ratio in mobile networks, where spectrum and time slots favour the downlink (a common
    TDD pattern gives the uplink one slot in four or five)."""


class TraceConfig(MendRules):
    """Where compute and link traces come from."""

    source: PathText = "generated"
    """`generated`; a folder of trace files (with `link` and `compute` in it, or without), in a scenario file
    relative to that file; or `folder`: whichever folder the caller names (`traces=`, `--traces`), else
    $SNAKEGYM_DATA."""
    link: PathText = "*"
    """Glob over the names or paths of link traces; several are parted by `|`."""
    compute: PathText = "*"
    """Glob over the names or paths of compute traces; several are parted by `|`."""
    format: Line | None = None
    """Read all files as this format (`snakegym.network.traces.formats`), or as one of these, parted by `|`;
    null: each by what it says itself."""
    skip_bad: bool = False
    """Go on without the files that cannot be used, with a warning that names them."""
    generator: dict[Line, float] = Field(default_factory=dict, max_length=64)
    """Settings of the built-in generator (`snakegym.network.traces.generator.GeneratorConfig`)."""


class NetworkConfig(Section):
    """The nodes, their links and the way parameters travel."""

    nodes: Annotated[int, Field(ge=2, le=10_000)] = 9
    """At most as many as there are training samples."""
    mode: Mode = "p2p"
    """`p2p`: the model goes from node to node; `cs`: every hop is fetched from and uploaded to the PCE."""
    traces: TraceConfig = TraceConfig()
    """What links and machine load replay."""
    devices: tuple[DeviceConfig, ...] = Field(min_length=1, max_length=1000, strict=False)
    """The kinds of devices that nodes are drawn from."""
    rtt_s: Annotated[float, Field(ge=0, le=3600)] = 0.05
    """Round-trip time of a link whose trace states none."""
    timeout_s: Annotated[float, Field(ge=1e-3, le=1e7)] = 10.0
    """A link or node that is out for longer interrupts the hop."""
    measure_window_s: Seconds = 60.0
    """Length of the window behind the recent means in the view."""
