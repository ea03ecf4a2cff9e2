"""Networks: backbones, the head, checkpoints, frozen feature extractors. Knows no training and no data."""
