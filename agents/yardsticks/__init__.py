"""Yardsticks, not schedulers: they know what none can know, the network's future or what hops bring."""
