from hypothesis import settings

# Time limits of single examples fail at random on a machine with other load.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
