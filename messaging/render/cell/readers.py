"""How readers write numbers, money and days: a small table by language, after the common forms of Unicode CLDR 45.

The child that renders can open no file, so this stands in code. A language that is missing is written as in English.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

THIN = "\u202f"  # a space that does not break
HARD = "\u00a0"
ENGLISH = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """One language: what stands between thousands and before the decimals, how a price is put together ({a} amount, {s}
    symbol), how a day is written, long and short ({d} day, {m} number of the month, {n} its name, {y} year), and how a
    time is ({h} hour of 24, {k} of 12, {m} minute, {half} of the day), with what stands `between` the two."""

    group: str = ","
    point: str = "."
    price: str = "{s}{a}"
    long: str = "{d} {n} {y}"
    short: str = "{d} {n}"
    months: tuple[str, ...] = ENGLISH
    brief: tuple[str, ...] = ()
    clock: str = "{h}:{m}"
    halves: tuple[str, ...] = ()
    between: str = ", "


_AFTER = "{a}" + HARD + "{s}"
READERS: Mapping[str, Reader] = {
    "en": Reader(brief=tuple(name[:3] for name in ENGLISH)),
    "en-us": Reader(
        long="{n} {d}, {y}", short="{n} {d}", brief=tuple(name[:3] for name in ENGLISH), clock="{k}:{m} {half}",
        halves=("AM", "PM"),
    ),
    "zh": Reader(long="{y}年{m}月{d}日", short="{m}月{d}日", between=" "),
    "ja": Reader(long="{y}年{m}月{d}日", short="{m}月{d}日", between=" "),
    "ko": Reader(
        long="{y}년 {m}월 {d}일", short="{m}월 {d}일", clock="{half} {k}:{m}", halves=("오전", "오후"), between=" "
    ),
    "de": Reader(".", ",", _AFTER, "{d}. {n} {y}", "{d}. {n}", (
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
        "Dezember",
    )),
    "fr": Reader(THIN, ",", _AFTER, "{d} {n} {y}", "{d} {n}", (
        "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
        "décembre",
    )),
    "es": Reader(".", ",", _AFTER, "{d} de {n} de {y}", "{d} de {n}", (
        "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre",
        "diciembre",
    )),
    "it": Reader(".", ",", _AFTER, "{d} {n} {y}", "{d} {n}", (
        "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre",
        "novembre", "dicembre",
    )),
    "pt": Reader(".", ",", "{s}" + HARD + "{a}", "{d} de {n} de {y}", "{d} de {n}", (
        "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro",
        "novembro", "dezembro",
    )),
    "nl": Reader(".", ",", "{s}" + HARD + "{a}", "{d} {n} {y}", "{d} {n}", (
        "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november",
        "december",
    )),
}  # fmt: skip


def reader_of(locale: str) -> Reader:
    """The longest entry of the table that a locale begins with; English for a language that is not there."""
    name = locale.replace("_", "-").lower()
    return READERS.get(name) or READERS.get(name.split("-")[0]) or READERS["en"]


def grouped(amount: float, digits: int | None, reader: Reader) -> str:
    """A number with its thousands apart; `digits` after the point, as many as there are when None."""
    text = f"{amount:,}" if digits is None else f"{amount:,.{digits}f}"
    return text.translate({ord(","): reader.group, ord("."): reader.point})
