"""The benchmark: methods x data sets x sources of maps x seeds, on shared maps and tokens."""
