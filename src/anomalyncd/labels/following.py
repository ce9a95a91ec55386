"""How far the tables of a run follow its label book."""

from collections.abc import Sequence

from anomalyncd.labels.state import PERMANENT, Action, LabelState, replay

FOLLOWED = "followed"
"""Number of the last action that the tables of a run follow, in what the program notes."""


def count_pending(actions: Sequence[Action]) -> int:
    """Number of actions since the run was last refitted."""
    followed = _followed(actions)
    return sum(one.number > followed and one.name not in PERMANENT for one in actions)


def followed_by_tables(actions: Sequence[Action]) -> LabelState:
    """The state that the tables of the run follow."""
    followed = _followed(actions)
    return replay([one for one in actions if one.number <= followed or one.name in PERMANENT])


def _followed(actions: Sequence[Action]) -> int:
    noted = [int(one.arguments.get(FOLLOWED, 0)) for one in actions if one.name in PERMANENT]
    return noted[-1] if noted else 0
