"""Numbers with their nouns."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """Returns a number and what it counts: "1 image", "1,200 images", "2 images are".

    Args:
        count: The number.
        one: What follows a one.
        many: What follows all other numbers; by default the plural of `one`.
    """
    plural = many or one + ("es" if one.endswith(("s", "x")) else "s")
    return f"{count:,} {one if count == 1 else plural}"
