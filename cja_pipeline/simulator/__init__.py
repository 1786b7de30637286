"""The simulated shop: a world with known truth, and mocks that speak the vendors' wire formats over it."""
