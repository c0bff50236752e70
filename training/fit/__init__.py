"""`snakegym fit`: what hops bring, recorded on training traces, and a model of it."""
