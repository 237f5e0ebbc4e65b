"""How many examples a property is tried on: a few in `make test`, all of them in `make soak`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

FULL = 100
"""Examples of a property that says nothing else, which is also what Hypothesis takes."""


def register() -> None:
    """Both profiles; the quick one holds unless `--hypothesis-profile=full` asks for the other.

    Examples are other ones each time, also in CI, where Hypothesis would draw the same for ever.
    """
    # how long an example takes says more about the machine than about us
    settings.register_profile(
        "full",
        max_examples=FULL,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=False,
        print_blob=True,
    )
    settings.register_profile("quick", settings.get_profile("full"), max_examples=FULL // 10)
    settings.load_profile("quick")


def examples(full: int) -> int:
    """The profile's share of the examples that a property has at full size."""
    return max(1, full * settings().max_examples // FULL)
