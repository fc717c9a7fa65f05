"""The phases of training: optimisers, annealing, augmentation, and which epoch goes on."""
