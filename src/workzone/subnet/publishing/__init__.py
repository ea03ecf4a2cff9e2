"""A bundle as a miner's public model: the card, the hub, the registration."""
