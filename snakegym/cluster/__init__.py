"""Snake Learning on nodes that are really there: what runs on a node, and how a controller hears of it.

- Local Manager (LM) and Local Computation Engine (LCE): `node.Node`, which admits a process, has the samples,
  keeps layers by version, trains, and hands layers on.
- `statements`: what a node says of itself, and of a hop.
- `monitor.MeasuredNodes`: what a Process Controller knows of them, by what was measured.
- `clock.WallClock`: real hops take their time.
- `executor.NodesExecutor`: a job carried out on nodes, however they are reached (`reach`): in this program,
  or on a cluster, of which nothing is known here.
"""
