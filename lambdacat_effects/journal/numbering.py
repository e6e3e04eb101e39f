"""Numbers for the records of a journal. Branches write at the same time, so a later one may be in the store before an
earlier one is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Numbering"]


class Numbering:
    """The numbers of one journal's records, from 0 on, without a gap once all are written.

    >>> numbers = Numbering()
    >>> mine, theirs = numbers.take(1), numbers.take(2)
    >>> numbers.after(mine), numbers.after(theirs)
    (None, 0)
    >>> numbers.written(mine)
    >>> numbers.after(theirs)
    """

    def __init__(self, count: int = 0, missing: Iterable[int] = ()) -> None:
        self._count = count
        self._open = set(missing)
        self._free: list[int] = sorted(self._open)
        self._lowest = 0

    @property
    def count(self) -> int:
        """How many numbers there are, with those whose records are still to be written."""
        return self._count

    @property
    def there(self) -> int:
        """How many records are written."""
        return self._count - len(self._open)

    def take(self, many: int) -> list[int]:
        """Numbers for records that are about to be written: first those that were given back."""
        again, self._free = self._free[:many], self._free[many:]
        first = self._count
        self._count += many - len(again)
        numbers = [*again, *range(first, self._count)]
        self._open.update(numbers)
        if again:
            self._lowest = min(self._lowest, again[0])
        return numbers

    def after(self, numbers: Sequence[int]) -> int | None:
        """How far the journal is whole while these are written; None if only they are missing."""
        while self._lowest < self._count and self._lowest not in self._open:
            self._lowest += 1
        first, last = numbers[0], numbers[-1]
        is_next = self._lowest >= first and last - first + 1 == len(numbers)
        return None if is_next else self._lowest

    def written(self, numbers: Iterable[int]) -> None:
        """Their records are in the store."""
        self._open.difference_update(numbers)

    def give_back(self, numbers: Iterable[int]) -> None:
        """Their records were not written after all: the next ones have them."""
        self._free = sorted([*self._free, *numbers])
