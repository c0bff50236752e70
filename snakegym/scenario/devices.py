"""Device profiles that scenarios may name, each with the source of its figures.

Training a small model reaches only part of a processor's peak: `SUSTAINED` of the peak in single
precision is an assumption for all of them (High Performance Linpack, which is more regular work,
reaches about a third of a Raspberry Pi 4's peak: Feiereisen, "Benchmarking the Raspberry Pi 4 with
Raspberry Pi OS64", 2022). Whoever has measured a device gives numbers in the scenario instead.

Compute power is that of the whole device under load, radio power that of its modem while it sends or
receives. Figures are rounded.

- `cortex-m4`: STM32F407. Its data sheet: 168 MHz, 192 KiB of SRAM, some 90 mA at 3.3 V; a fused
  multiply-add takes three cycles (Arm, Cortex-M4 technical reference manual): 0.11 GFLOP/s.
- `cortex-m7`: STM32F746 with 8 MiB of external SDRAM, as on ST's discovery board. Its data sheet:
  216 MHz, one multiply-add a cycle, some 100 mA at 3.3 V: 0.43 GFLOP/s. It is the device of Lin et
  al., "On-Device Training Under 256KB Memory", arXiv:2206.15472.
- `raspberry-pi-4`: four Cortex-A72 at 1.5 GHz, 8 FLOP a cycle each: 48 GFLOP/s; 2 GiB; 7.6 W under load
  (Halfacree, "Benchmarking the Raspberry Pi 4", 2019).
- `jetson-nano`: 128 Maxwell cores at 0.92 GHz: 236 GFLOP/s; 4 GiB; its 10 W mode (NVIDIA, Jetson Nano
  data sheet).
- `phone`: one Cortex-A77 of a Snapdragon 865 at 2.4 GHz, 16 FLOP a cycle, and half as much from the
  small cores: about 58 GFLOP/s (training in the background leaves the other cores to their user); 2 GiB
  for one application; 2 W. It may spend a tenth of a battery of 4500 mAh at 3.85 V.
- `edge-server`: an NVIDIA T4: 8.1 TFLOP/s, 16 GB, 70 W (NVIDIA, T4 data sheet). It stands at the base
  station and has no radio of its own.

Modems: LTE-M, 0.5 W (about 0.14 A at 3.7 V, the order that vendors of Cat-M1 modules state for a
transmitting modem); LTE and 5G, 2 W (1.3 W, and 0.05 W per Mbit/s received: Huang et al., "A Close
Examination of Performance and Power Characteristics of 4G LTE Networks", MobiSys 2012,
DOI 10.1145/2307636.2307658, at 10 to 15 Mbit/s).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

SUSTAINED: Final = 0.2

_LTE_M_W, _LTE_W = 0.5, 2.0


def _device(
    peak: float, memory: float, compute_w: float, radio_w: float, battery: float | None = None
) -> MappingProxyType[str, float | None]:
    return MappingProxyType(
        {
            "peak_flops": SUSTAINED * peak,
            "memory_bytes": memory,
            "compute_power_w": compute_w,
            "radio_power_w": radio_w,
            "battery_j": battery,
        }
    )


DEVICES: Final = MappingProxyType(
    {
        "cortex-m4": _device(1.1e8, 1.92e5, 0.3, _LTE_M_W),
        "cortex-m7": _device(4.3e8, 8.0e6, 0.35, _LTE_M_W),
        "raspberry-pi-4": _device(4.8e10, 2.0e9, 7.6, _LTE_W),
        "jetson-nano": _device(2.36e11, 4.0e9, 10.0, _LTE_W),
        "phone": _device(5.8e10, 2.0e9, 2.0, _LTE_W, 6.2e3),
        "edge-server": _device(8.1e12, 1.6e10, 70.0, 0.0),
    }
)
"""Profile name to the fields of `snakegym.scenario.DeviceConfig` (SI units; battery null: mains)."""
