"""The methods that the papers compare with, each on the same tokens of the same whole images."""
