"""The simulated shop: a world with known truth, and mocks that speak the vendors' wire formats over it."""

from __future__ import annotations

from .build import WorldManifest, build_world
from .world import World

__all__ = ["World", "WorldManifest", "build_world"]
