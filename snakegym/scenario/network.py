"""The network: devices, the recordings behind links and machine load, and how parameters travel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from snakegym.scenario.devices import DEVICES
from snakegym.scenario.section import Mode, NonNegative, Positive, Section


class DeviceConfig(Section):
    """A kind of device: a named profile, numbers, or a profile with some numbers replaced."""

    profile: str | None = None
    """A key of `snakegym.scenario.devices.DEVICES`: fills in whatever is not given here."""
    name: str
    """Default: the profile's."""
    share: Positive = 1.0
    """How common it is among the nodes, relative to the others."""
    peak_flops: Positive
    """FLOP/s sustained in training when the device is idle otherwise."""
    memory_bytes: Positive
    compute_power_w: NonNegative
    radio_power_w: NonNegative
    battery_j: Positive | None = None
    """Energy the device may spend in an episode; null: mains."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        profile = given.get("profile") if isinstance(given, dict) else None
        if profile is None:
            return given
        if profile not in DEVICES:
            raise ValueError(f"unknown profile '{profile}': expected one of {', '.join(DEVICES)}")
        return {"name": profile, **DEVICES[profile], **given}


class MendRules(Section):
    """How recordings become traces (`snakegym.network.mend`)."""

    gap_s: Positive = 10.0
    """A link that is silent for longer than this beyond its usual step was out."""
    missing_direction: Literal["ratio", "same", "refuse"] = "ratio"
    """What a link whose recording has one direction only does in the other one: `ratio`: uplink is
    `uplink_ratio` times downlink; `same`: equally fast; `refuse`: such recordings are not used."""
    uplink_ratio: Positive = 0.25
    """Order of the ratio in mobile networks, where spectrum and time slots favour the downlink (a common
    TDD pattern gives the uplink one slot in four or five)."""


class TraceConfig(MendRules):
    """Where compute and link traces come from."""

    source: str = "generated"
    """`generated`; a folder of trace files (with `link` and `compute` in it, or without); or `folder`:
    whichever folder the caller names (`traces=`, `--traces`), else $SNAKEGYM_DATA."""
    link: str = "*"
    """Glob over the names or paths of link traces; several are parted by `|`."""
    compute: str = "*"
    """Glob over the names or paths of compute traces; several are parted by `|`."""
    format: str | None = None
    """Read all files as this format (`snakegym.network.formats`); null: recognise each by its content."""
    skip_bad: bool = False
    """Go on without the files that cannot be used, with a warning that names them."""
    generator: dict[str, float] = Field(default_factory=dict)
    """Settings of the built-in generator (`snakegym.network.generator.GeneratorConfig`)."""


class NetworkConfig(Section):
    """The nodes, their links and the way parameters travel."""

    nodes: Annotated[int, Field(ge=2)] = 9
    mode: Mode = "p2p"
    traces: TraceConfig = TraceConfig()
    devices: tuple[DeviceConfig, ...] = Field(min_length=1)
    rtt_s: NonNegative = 0.05
    """Round-trip time of a link whose trace states none."""
    timeout_s: Positive = 10.0
    """A link or node that is out for longer interrupts the hop."""
    measure_window_s: Positive = 60.0
    """Length of the window behind the recent means in the view."""
