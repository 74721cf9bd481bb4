"""What is wrong, in the operator's language. A text is written once, in English, where the fault is found: programs and
tests compare it, and it is stored with the row it speaks of. Only who reads it in the admin has a language.

An app teaches its texts as gettext templates ("no step '%(key)s'"); what a text puts in is kept. A plug-in of your own
may as well mark its texts with gettext where they arise: what nobody has taught is told as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from common.text import is_chinese

_PLACE = re.compile(r"%\((\w+)\)s")
_known: set[str] = set()


def teach(*texts: str) -> None:
    """Make these templates known."""
    _known.update(texts)
    _patterns.cache_clear()


def tell(text: str) -> str:
    """The text in the active language; as it is where that is English, or where nobody has taught it."""
    if not is_chinese():
        return text
    plain = text.removeprefix("Value error, ")
    if plain in _known:
        return gettext(plain)
    for pattern, template in _patterns():
        met = pattern.fullmatch(plain)
        if met:
            return gettext(template) % met.groupdict()
    return plain


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Templates that put something in, those that say the most by themselves first."""
    open_ones = [text for text in _known if _PLACE.search(text)]
    open_ones.sort(key=lambda text: (-len(_PLACE.sub("", text)), text))
    return [(re.compile(_pattern(text), re.DOTALL), text) for text in open_ones]


def _pattern(template: str) -> str:
    parts, seen = [], set[str]()
    for number, part in enumerate(_PLACE.split(template)):
        if number % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>.*?)")
            seen.add(part)
    return "".join(parts)


teach(  # what pydantic says of parameters
    _("Field required"),
    _("Extra inputs are not permitted"),
    _("Input should be a valid integer"),
    _("Input should be a valid integer, %(why)s"),
    _("Input should be a valid number"),
    _("Input should be a valid number, %(why)s"),
    _("Input should be a finite number"),
    _("Input should be a valid string"),
    _("Input should be a valid boolean"),
    _("Input should be a valid boolean, %(why)s"),
    _("Input should be a valid list"),
    _("Input should be a valid tuple"),
    _("Input should be a valid dictionary"),
    _("Input should be a valid dictionary or instance of %(name)s"),
    _("Input should be a valid date%(why)s"),
    _("Input should be in a valid time format%(why)s"),
    _("Input should be greater than or equal to %(n)s"),
    _("Input should be less than or equal to %(n)s"),
    _("Input should be greater than %(n)s"),
    _("Input should be less than %(n)s"),
    _("Input should be %(these)s"),
    _("String should have at least %(n)s character"),
    _("String should have at least %(n)s characters"),
    _("String should have at most %(n)s character"),
    _("String should have at most %(n)s characters"),
    _("String should match pattern '%(pattern)s'"),
    _("List should have at least %(n)s item after validation, not %(m)s"),
    _("List should have at least %(n)s items after validation, not %(m)s"),
    _("List should have at most %(n)s item after validation, not %(m)s"),
    _("List should have at most %(n)s items after validation, not %(m)s"),
    _("Tuple should have at least %(n)s items after validation, not %(m)s"),
    _("Dictionary should have at least %(n)s item after validation, not %(m)s"),
)
