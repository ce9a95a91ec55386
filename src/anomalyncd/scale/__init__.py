"""Many images on many machines, by Ray Data."""
