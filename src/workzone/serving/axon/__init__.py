"""The miner of Bittensor subnet 72: an adapter that asks the service on behalf of validators."""
