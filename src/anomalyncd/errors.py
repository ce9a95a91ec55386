"""The exception for inputs that cannot be used."""


class InputError(ValueError):
    """An input that cannot be used; the message names the file or value and the remedy."""
