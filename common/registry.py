"""One registry for every plug-in family, so that a new part is one file and no list is edited."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class DuplicateKey(LookupError):
    """Two plug-ins of one family claim the same key."""


class UnknownKey(LookupError):
    """No plug-in of the family answers to the key. The message lists those that do."""


class Registry(Generic[T]):
    """Plug-ins of one family by `key`, in order of registration.

    `family` is the plural noun used in messages ("steps"); `package` holds one module per plug-in.
    """

    def __init__(self, family: str, package: str) -> None:
        self.family = family
        self.package = package
        self._items: dict[str, T] = {}

    def register(self, key: str) -> Callable[[type[T]], type[T]]:
        """Class decorator: instantiate once and file under `key`. A second claim raises DuplicateKey."""

        def file_under(cls: type[T]) -> type[T]:
            self.add(key, cls())
            return cls

        return file_under

    def add(self, key: str, item: T) -> None:
        """File a ready instance. Raises DuplicateKey when the key is taken."""
        if key in self._items:
            raise DuplicateKey(f"{self.family}: '{key}' is registered twice")
        self._items[key] = item

    def replace(self, key: str, item: T) -> None:
        """Put another in the place of the one under `key`, for this process. Raises UnknownKey."""
        self.get(key)
        self._items[key] = item

    def load(self) -> None:
        """Import every module of the family's package once; importing is what registers."""
        package = importlib.import_module(self.package)
        for info in pkgutil.iter_modules(package.__path__):
            if not info.name.startswith("_"):
                importlib.import_module(f"{self.package}.{info.name}")

    def get(self, key: str) -> T:
        """The plug-in filed under `key`; raises UnknownKey naming the known ones."""
        try:
            return self._items[key]
        except KeyError:
            known = ", ".join(self._items) or "none"
            raise UnknownKey(f"{self.family}: no '{key}' (known: {known})") from None

    def keys(self) -> list[str]:
        return list(self._items)

    def items(self) -> list[tuple[str, T]]:
        return list(self._items.items())

    def values(self) -> list[T]:
        return list(self._items.values())

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self.values())

    @contextmanager
    def temporarily(self, key: str, item: T) -> Iterator[T]:
        """Register `item` for the length of a test, then forget it."""
        self.add(key, item)
        try:
            yield item
        finally:
            del self._items[key]
