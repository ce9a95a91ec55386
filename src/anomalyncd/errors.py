"""The exception for inputs that cannot be used."""


class InputError(ValueError):
    """An input that cannot be used; the message names the file or value and the remedy.

    Args:
        message: A sentence; what another library said within it may have several lines, which
            become one.

    Attributes:
        message: The sentence, also where a library that passed the error on has added to it.
    """

    def __init__(self, message: str) -> None:
        self.message = " ".join(line.strip() for line in message.splitlines())
        super().__init__(self.message)
