"""What holds for every test: none is timed, since the machines they run on are as fast as their other guests leave them."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
