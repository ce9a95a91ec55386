"""The one exception that a user's input can raise."""


class InputError(ValueError):
    """An input that cannot be used; the message names the file or value and the remedy."""
