"""Writer: a value with a log beside it, where the logs of successive steps are combined by a monoid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.errors import InvalidArgument

__all__ = ["Writer", "tell"]

W = TypeVar("W")
A_co = TypeVar("A_co", covariant=True)
B = TypeVar("B")


@attrs.frozen
class Writer(Generic[W, A_co]):
    """A `value`, the `log` written on the way to it, and the `monoid` that combines logs.

    The monoid is carried, not looked up by type: strings may be joined here and compared there.

    >>> from lambdacat_effects.algebra.monoid import LIST
    >>> Writer(2, ["began"], LIST).then(lambda n: Writer(n * 2, ["doubled"], LIST)).log
    ['began', 'doubled']
    """

    value: A_co
    """The value."""
    log: W
    """What was written so far."""
    monoid: Monoid[W]
    """How logs are combined."""

    def map(self, f: Callable[[A_co], B]) -> Writer[W, B]:
        """`f` of the value, with the same log.

        >>> from lambdacat_effects.algebra.monoid import STRING
        >>> Writer(2, "log", STRING).map(str).value
        '2'
        """
        return Writer(f(self.value), self.log, self.monoid)

    def then(self, f: Callable[[A_co], Writer[W, B]]) -> Writer[W, B]:
        """What `f` makes of the value, with this log before its own; the monad's bind.

        Raises `InvalidArgument` if the two logs have different monoids.

        >>> from lambdacat_effects.algebra.monoid import STRING
        >>> Writer(2, "a", STRING).then(lambda n: Writer(n + 1, "b", STRING)).log
        'ab'
        """
        after = f(self.value)
        if after.monoid != self.monoid:
            raise InvalidArgument(
                f"a Writer over {self.monoid!r} was followed by one over {after.monoid!r}, so their logs "
                "cannot be combined. Give both the same monoid."
            )
        return Writer(after.value, self.monoid.combine(self.log, after.log), self.monoid)


def tell(log: W, monoid: Monoid[W]) -> Writer[W, None]:
    """A step that only writes `log`; its value is `None`.

    >>> from lambdacat_effects.algebra.monoid import STRING
    >>> tell("hello ", STRING).then(lambda _: tell("cat", STRING)).log
    'hello cat'
    """
    return Writer(None, log, monoid)
