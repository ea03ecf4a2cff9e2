"""Training: caches, augmented batches, Lightning underneath, probe and finetune behind one interface."""
