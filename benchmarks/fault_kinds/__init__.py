"""The kinds of faults that `faults.py` injects."""
