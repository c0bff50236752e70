"""How true the simulation is: processes on Ray nodes whose links and compute follow traces, simulated beside.

`python -m snakegym.training.cluster.fidelity OUT`, as root on Linux. Each node has a network namespace of its
own, whose link is shaped to a trace by `tc tbf`; its training has the share of a processor that a trace gives
it. The simulation has the very same traces, and device speeds from hops that were measured beforehand.
"""
