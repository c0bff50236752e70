"""The paper's words, and where they are in code.

Snake Learning: A Communication- and Computation-Efficient Distributed Learning Framework for 6G,
DOI 10.1109/MCOM.005.2400282.

- Process Controller (PC): `controller.ProcessController`, one process: view, dispatch, complete. Its duties:
  node management is `nodes.pool.NodePool`; layer assignment is up to a scheduler, within what
  `progress.cycle.CycleProgress` leaves open; communication management is `progress.whereabouts.Whereabouts`
  (where the model is) and `progress.caches.LayerCaches` (who lacks what of it).
- Process Computation Engine (PCE): `execution.engines.ProcessComputationEngine`, which averages and
  evaluates; as an end of a transfer `snakegym.network.records.PCE`.
- Local Manager (LM): `nodes.managers.LocalManagers`, those of all nodes: their samples, what they have room
  for, whether they distil. What a node has to report is measured by `snakegym.network.network.Network`.
- Local Computation Engine (LCE): `execution.engines.LocalComputationEngine`: how far a node gets with its
  job, and what it trains.
- Service Provider (SP): `service.load_service` registers, `service.Service` starts processes.
- KD module: `nodes.managers.Teaching` switches it on, `snakegym.learning.distillation` is the loss.

`records` and `view` are what travels between scheduler, controller and executor, plain data all of it:
tensors lie in stores (`snakegym.models.store`) under layer and version, samples where they are trained.
`execution.executor` carries a job out in simulation, where one engine (`snakegym.learning`) computes for the
PCE and all nodes. What a controller knows of time and nodes comes from a `clock.Clock` and a `Monitor`
(`snakegym.network.network`).
"""
