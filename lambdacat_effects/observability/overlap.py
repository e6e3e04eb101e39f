"""How much of a run happened beside other work: one sweep over its events, in the order of time.

Work at path `p` runs in the branch `p[:-1]`. Two branches run beside one another if neither path is a prefix of the
other, since a plan waits while the branches that it has started are running.

To compare all pairs of intervals would be quadratic. Instead, a tree of branches knows where work is going on. At
each moment, the branches that nothing runs beside form one path through that tree: down from its root to the first
fork, or, without a fork, to the last branch that works and then everything below it. So a step in time adds to a few
counters on that path, and a branch's time alone is read as a sum over its ancestors.
"""

from __future__ import annotations

from lambdacat_effects.runtime.events import Path

__all__ = ["Activity"]


class _Branch:
    __slots__ = ("alone", "alone_below", "busy", "parent", "working")

    def __init__(self, parent: _Branch | None) -> None:
        self.parent = parent
        self.working = 0
        """How many pieces of work are going on right here."""
        self.busy: dict[_Branch, None] = {}
        """The inner branches in which, or below which, there is work."""
        self.alone = 0.0
        """Seconds with no work beside this branch, but perhaps beside those below."""
        self.alone_below = 0.0
        """Seconds with no work beside this branch nor any below it."""


class Activity:
    """Which branches are working, as time goes on."""

    def __init__(self) -> None:
        self._root = _Branch(None)
        self._branches: dict[Path, _Branch] = {(): self._root}
        self._time: float | None = None
        self._working = 0  # branches that work, and do not merely wait for those below
        self.beside: float = 0.0
        """The sum of all work less the time in which there was any, in seconds."""

    def advance(self, time: float) -> None:
        """It is `time` now, in seconds; never less than before."""
        step = 0.0 if self._time is None else time - self._time
        self._time = time
        if step <= 0:
            return
        self.beside += step * max(0, self._working - 1)
        branch = self._root
        while len(branch.busy) == 1:
            branch.alone += step
            (branch,) = branch.busy
        if branch.busy:
            branch.alone += step
        else:
            branch.alone_below += step

    def begin(self, path: Path) -> None:
        """Work begins in the branch `path`."""
        branch = self._branch(path)
        if not branch.working and not branch.busy:
            self._working += 1
        branch.working += 1
        while (parent := branch.parent) is not None and branch not in parent.busy:
            if parent.working and not parent.busy:
                self._working -= 1
            parent.busy[branch] = None
            branch = parent

    def end(self, path: Path) -> None:
        """Work ends there."""
        branch = self._branch(path)
        branch.working -= 1
        if not branch.working and not branch.busy:
            self._working -= 1
        while (parent := branch.parent) is not None and not branch.working and not branch.busy:
            del parent.busy[branch]
            if parent.working and not parent.busy:
                self._working += 1
            branch = parent

    def alone(self, path: Path) -> float:
        """Seconds until now in which nothing worked beside the branch `path`."""
        branch: _Branch | None = self._branch(path)
        assert branch is not None
        seconds = branch.alone
        while branch is not None:
            seconds += branch.alone_below
            branch = branch.parent
        return seconds

    def forget(self, path: Path) -> None:
        """The branch `path`, if there was one, is over, and nobody asks about it again."""
        self._branches.pop(path, None)

    def _branch(self, path: Path) -> _Branch:
        branch = self._branches.get(path)
        if branch is None:
            known = len(path) - 1
            while path[:known] not in self._branches:
                known -= 1
            branch = self._branches[path[:known]]
            for length in range(known + 1, len(path) + 1):
                branch = self._branches[path[:length]] = _Branch(branch)
        return branch
