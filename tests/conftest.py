"""What holds for every test: Hypothesis measures meaning here, not the speed of a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("dagent", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dagent")
