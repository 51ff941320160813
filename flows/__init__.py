"""The order of things: what comes after what in one tick of a feed."""
