"""Classes that change while values of them are stored: versions, migrations, and names that a class had.

What is stored says of which version its class was. A class that declares none is at version 1, and so is everything
that was stored before its class declared one.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar, cast

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.storage.leaves import TAG, VERSION, Misfit, type_name

__all__ = [
    "Fields",
    "VersionMisfit",
    "declaring",
    "migrated",
    "migration",
    "names_of",
    "version_of",
    "versioned",
]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound="Callable[[Fields], Mapping[str, Any]]")

Fields: TypeAlias = dict[str, Any]
"""The fields of a stored object, as plain JSON: objects within are dicts, too, which say their class in "$type"."""

_KEPT_IN: Final = "__stored_as__"


class VersionMisfit(Misfit):
    """An object is of the class asked for, of a version that does not read as today's: no other reading is
    meant."""


class _Declared:
    """What a class has declared. Kept in the class, since `attrs.define` makes a second class of the first, with
    all that it holds: so it does not matter which decorator comes first."""

    def __init__(self, version: int, names: frozenset[str]) -> None:
        self.version = version
        self.names = names
        self.migrations: dict[int, Callable[[Fields], Mapping[str, Any]]] = {}


def versioned(version: int = 1, *, was: str | tuple[str, ...] = ()) -> Callable[[C], C]:
    """Declare the version of an attrs class or a dataclass, and the names that it had before.

    Count up whenever what is stored of the class would no longer read, or no longer mean the same; then give the
    way there with `migration`. A new field with a default, or one less, needs no new version. `was` names the
    class, without its module, as it was called when older values were stored. A class without a version of its
    own has that of its base, whose migrations also apply to it, and leave the fields that only it has.

    Raises `InvalidArgument` for a version below 1, and for what is no class or is stored without its name.

    >>> import attrs
    >>> from lambdacat_effects import migration, versioned
    >>> from lambdacat_effects.storage.codec import decode, encode
    >>> @versioned(2, was="Person")
    ... @attrs.frozen
    ... class Customer:
    ...     name: str
    ...     visits: int
    >>> @migration(Customer, 1)
    ... def count_visits(old):
    ...     return {"name": old["name"], "visits": len(old["visited"])}
    >>> decode(b'{"$type":"Person","name":"Ada","visited":["May","June"]}', Customer)
    Customer(name='Ada', visits=2)
    >>> encode(Customer("Ada", 2))
    b'{"$type":"Customer","$version":2,"name":"Ada","visits":2}'
    """
    if type(version) is not int or version < 1:
        raise InvalidArgument(f"versioned takes a whole number from 1 on; got {version!r}")
    given: Any = was if isinstance(cast(object, was), tuple) else (was,)
    for name in given:
        if not isinstance(name, str) or not name.isidentifier():
            raise InvalidArgument(
                f"versioned(was=...) takes the former name of the class, without its module, or a tuple of names; "
                f"got {name!r}"
            )
    names = frozenset(given)

    def declare(cls: C) -> C:
        # Named tuples and typed dicts are stored as plain lists and objects, which do not say what they are.
        if not isinstance(cast(object, cls), type) or issubclass(cls, (Enum, tuple, dict)):
            raise InvalidArgument(f"versioned is for attrs classes and dataclasses; got {cls!r}")
        setattr(cls, _KEPT_IN, _Declared(version, names))
        return cls

    return declare


def migration(cls: type, version: int) -> Callable[[F], F]:
    """Declare how an object stored at `version` of `cls` becomes one of the next version: a function of its fields.

    It is given the fields as a dict of its own, of plain JSON, and answers those of the next version, from which
    the next migration goes on; after the last one they are read as the class of today. Objects among the fields
    are dicts with "$type", and are migrated by themselves afterwards: leave them as they are. Where it makes one,
    it may answer an object of today's class.

    A migration is part of the format: once values of later versions are stored, do not change it.

    Raises `InvalidArgument` unless `cls` itself is `versioned`, at a later version, and without a migration from
    it."""
    declared = vars(cls).get(_KEPT_IN) if isinstance(cast(object, cls), type) else None
    if not isinstance(declared, _Declared):
        raise InvalidArgument(f"migration takes a class that has been declared with @versioned; got {cls!r}")
    if type(version) is not int or not 1 <= version < declared.version:
        raise InvalidArgument(
            f"{cls.__name__} is at version {declared.version}: it migrates from the versions below, "
            f"counted from 1; got {version!r}"
        )
    if version in declared.migrations:
        raise InvalidArgument(f"{cls.__name__} has a migration from version {version} already")

    def declare(function: F) -> F:
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise InvalidArgument(f"a migration is a plain function of a dict; got {function!r}")
        declared.migrations[version] = function
        return function

    return declare


def version_of(cls: type) -> int | None:
    """The version of a class, its own or its base's; None if neither declares any.

    >>> version_of(versioned(3)(type("Note", (), {}))), version_of(int)
    (3, None)
    """
    declared = getattr(cls, _KEPT_IN, None)
    return declared.version if isinstance(declared, _Declared) else None


def names_of(cls: type) -> frozenset[str]:
    """What objects of this class are called where they are stored: its name, and those it had.

    >>> sorted(names_of(versioned(was="Memo")(type("Note", (), {}))))
    ['Memo', 'Note']
    """
    declared = vars(cls).get(_KEPT_IN)  # not its base's, which is another class
    former = declared.names if isinstance(declared, _Declared) else frozenset[str]()
    return former | {cls.__name__}


def declaring(cls: type) -> type:
    """The class whose version is that of `cls`: itself, unless only a base of it declares one.

    >>> note = versioned(2)(type("Note", (), {}))
    >>> declaring(type("Memo", (note,), {})) is note
    True
    """
    return next((base for base in cls.__mro__ if _KEPT_IN in vars(base)), cls)


def migrated(cls: type, stored: Fields, own: Collection[str] = ()) -> Fields:
    """A stored object of `cls` as of the version that the class has today; itself, if it is of that version.

    `own` are fields of which the migrations know nothing, since they are those of a base: what they do not answer
    stays as it was.

    Raises `VersionMisfit` if it is of a later version, or of one that no migration leads on from.

    >>> migrated(int, {"$type": "int"})
    {'$type': 'int'}
    """
    declared = getattr(cls, _KEPT_IN, None)
    version = stored.get(VERSION, 1)
    today = declared.version if isinstance(declared, _Declared) else 1
    if version == today:
        return stored
    if type(version) is not int or not 1 <= version < today:
        raise VersionMisfit(_from_elsewhere(cls, version, today))
    migrations = cast(_Declared, declared).migrations
    # A copy, since a migration may change what it is given, and a union reads the same object several times.
    fields = {key: copy.deepcopy(item) for key, item in stored.items() if key not in (TAG, VERSION)}
    for step in range(version, today):
        if step not in migrations:
            raise VersionMisfit(_without_migration(cls, version, today, step))
        kept = {name: fields[name] for name in own if name in fields}
        fields = {**kept, **_next(cls, migrations[step], fields, step)}
    return {**fields, TAG: stored.get(TAG, cls.__name__), VERSION: today}


def _next(cls: type, function: Callable[[Fields], Mapping[str, Any]], fields: Fields, step: int) -> Fields:
    try:
        answer: Any = function(fields)
    except Exception as error:
        raise VersionMisfit(
            f"the migration of {type_name(cls)} from version {step} to {step + 1} failed "
            f"({type(error).__name__}: {error})"
        ) from error
    if not isinstance(answer, Mapping) or not all(isinstance(key, str) for key in cast("Any", answer)):
        raise VersionMisfit(
            f"the migration of {type_name(cls)} from version {step} to {step + 1} answered {answer!r}: "
            "it is to answer a dict with the fields of the next version"
        )
    return dict(cast("Mapping[str, Any]", answer))


def _from_elsewhere(cls: type, version: object, today: int) -> str:
    if type(version) is not int or version < 1:
        return f"expected a version of {type_name(cls)}, a whole number from 1 on, found {version!r}"
    return (
        f"found {type_name(cls)} of version {version}, and the class is at version {today}: it was stored by a later "
        f"program, so read it with that, or bring the class to @versioned({version})"
    )


def _without_migration(cls: type, version: int, today: int, step: int) -> str:
    return (
        f"found {type_name(cls)} of version {version}, and the class is at version {today}: write "
        f"@migration({cls.__name__}, {step}), a function from the fields of version {step}, a dict, to those of "
        f"version {step + 1}"
    )
