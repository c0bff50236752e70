"""Schedulers: who decides which node trains which layer next."""
