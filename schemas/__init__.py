"""The domain: every rule a shape, true with no network, clock or framework."""
