"""Adapters to other packages; none of them is imported by the rest of the library."""
