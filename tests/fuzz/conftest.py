from __future__ import annotations

from hypothesis import HealthCheck, settings

# the examples of each run are the same; `pytest tests/fuzz --hypothesis-profile fuzz-long` draws thousands of others
settings.register_profile(
    "fuzz",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    print_blob=False,
    # a database and a folder are enough for all examples of a test: each is refused or finished before the next
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("fuzz-long", settings.get_profile("fuzz"), derandomize=False, max_examples=3000)
