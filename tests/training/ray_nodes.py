"""Two Ray nodes on this machine with a processor each, as a script: prints their address, heeds commands.

`kill` removes the second ungracefully, `add` brings another one; the end of the input ends all.
"""

from __future__ import annotations

import sys
from typing import Any

from ray.cluster_utils import Cluster

TRIES = 4


def added(cluster: Cluster, **options: Any) -> Any:
    """One more node; on a busy machine Ray gives up after 30 s."""
    for left in reversed(range(TRIES)):
        try:
            return cluster.add_node(num_cpus=1, **options)
        except Exception:
            if not left:
                raise
    return None


def main() -> None:
    cluster = Cluster()
    added(cluster, include_dashboard=False)
    second = added(cluster)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
        else:
            second = added(cluster)
        print(line.strip(), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
