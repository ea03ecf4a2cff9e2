"""The miner on the loopback address, asked by the SDK's own client in processes of their own."""
