"""Hostile templates: what a sandbox alone lets through, and a grammar that makes more of them."""

from __future__ import annotations

import random

ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ profile.__init__.__globals__ }}",
    "{{ profile['__class__'].__bases__ }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ request.application.__globals__ }}",
    "{{ settings.SECRET_KEY }}",
    "{{ config.items() }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ lipsum.__globals__ }}",
    "{{ lipsum(n=1000000) }}",
    "{{ joiner('x') }}",
    "{{ namespace(a=1) }}",
    "{{ range(10) }}",
    "{{ dict(a=1) }}",
    "{{ ''.format(1) }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{0.__class__}'.format_map({}) }}",
    "{{ '%s' | format(1) }}",
    "{{ ['{0}'] | map('format', 1) | list }}",
    "{{ '' | attr('__class__') }}",
    "{{ profile | attr('first_name') }}",
    "{{ profile | map(attribute='__class__') | list }}",
    "{{ '%900000000d' % 1 }}",
    "{{ profile | pprint }}",
    "{{ profile | xmlattr }}",
    "{{ profile.first_name | safe }}",
    "{{ profile | tojson(indent=99999) }}",
    "{{ [1] | batch(999999999) | list }}",
    "{{ [1] | slice(99999999) | list }}",
    "{{ 'a' | center(999999999) }}",
    "{{ 'a' | indent(99999999) }}",
    "{{ 'a' | wordwrap(1) }}",
    "{% include '/etc/passwd' %}",
    "{% include '../../etc/passwd\\x00' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% from 'os' import path %}",
    "{% extends 'base.html' %}",
    "{% block x %}{% endblock %}",
    "{% macro x() %}{% endmacro %}{{ x() }}",
    "{% call x() %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% set x %}aaaa{% endset %}",
    "{% set ns.x = 1 %}",
    "{% autoescape false %}{{ profile.first_name }}{% endautoescape %}",
    "{% with a = 1 %}{{ a }}{% endwith %}",
    "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
    "{% do 1 %}",
    "{% raw %}{{ x }}{% endraw %}",
    "{{ loop }}{% for x in profile %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in 'a' %}{{ loop.cycle('a') }}{% endfor %}",
    "{% for x in 'a' %}{{ loop.nextitem }}{% endfor %}",
]  # every one is refused when it is read

BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{{ 'A'*2*10**8 }}",
    "{{ 9**(9**9) }}",
    "{{ [0] * 10**9 }}",
    "{{ 99999999999 * 99999999999 }}",
    "{% set a = 99999999 %}" + "{% set a = a * a %}" * 28 + "{{ a }}",
    "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a ~ a %}" * 28 + "{{ a }}",
    "{% set a = [1, 1] %}{{ a }}",
    "{% set a = 'aaaaaaaa' %}" + "{% set a = a | replace('a', 'aaaaaaaa') %}" * 9 + "{{ a }}",
    "{{ 'aaaaaaaaaaaaaaaa'" + " | replace('a', 'aaaaaaaaaaaaaaaa')" * 6 + " }}",
    "{% set a = 'aaaaaaaaaa' %}" + "{% set a = xs | join(a) %}" * 12 + "{{ a }}",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{{ x" + ".a" * 5000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "{% for a in xs %}" * 4 + "{% endfor %}" * 4,
    "{{ x }}" * 5000,
    "{{ " + "9" * 5000 + " }}",
    "{{ 1e999 }}",
    "x" * 70000,
    "{{ " + "[" * 100 + "]" * 100 + " }}",
    "{{ 'a' + 'b' }}",
    "{{ xs + xs }}",
    "{{ 'ab' % 2 }}",
]  # refused when read or when rendered, at once

WORK = [
    "{% for a in xs %}{% for b in xs %}{% for c in xs %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in xs %}{% for b in xs %}{% for c in xs %}{{ c }}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in xs %}{% for b in xs %}{% for c in xs %}{{ 'aaaa' | replace('a', 'b') }}{% endfor %}{% endfor %}{% endfor %}",
]  # read without fault; the time or the length of one message stops them

ATOMS = [
    "1",
    "99999999",
    "'a'",
    "'aaaaaaaa'",
    "xs",
    "profile",
    "profile.first_name",
    "a",
    "[1, 2]",
    "{'a': 1}",
    "(1, 2)",
    "loop",
]
FILTERS = [
    "upper", "replace('a', 'aaaaaaaa')", "join('aaaaaaaa')", "truncate(9)", "length", "first", "urlencode", "money", "int",
    "round(9)", "default('x')", "string", "escape", "date", "name", "number(6)", "title", "plain", "abs",
]  # fmt: skip
OPERATORS = ["+", "*", "-", "/", "//", "%", "**", "~", "==", "in", "and", "or"]


def expression(rng: random.Random, depth: int = 3) -> str:
    roll = rng.random()
    if depth == 0 or roll < 0.3:
        return rng.choice(ATOMS)
    if roll < 0.6:
        return f"({expression(rng, depth - 1)} {rng.choice(OPERATORS)} {expression(rng, depth - 1)})"
    if roll < 0.9:
        return f"({expression(rng, depth - 1)} | {rng.choice(FILTERS)})"
    return f"{rng.choice(ATOMS)}[{expression(rng, depth - 1)}]"


def statement(rng: random.Random, depth: int = 3) -> str:
    roll = rng.random()
    if depth == 0 or roll < 0.3:
        return "{{ " + expression(rng) + " }}"
    inner = "".join(statement(rng, depth - 1) for _ in range(rng.randint(1, 3)))
    if roll < 0.55:
        return "{% set a = " + expression(rng) + " %}" + inner
    if roll < 0.8:
        return "{% for a in " + expression(rng) + " %}" + inner + "{% endfor %}"
    return "{% if " + expression(rng) + " %}" + inner + "{% else %}x{% endif %}"


def template(rng: random.Random) -> str:
    """One template of the grammar; "a" is set first, so that chains can grow."""
    return "{% set a = 'aaaaaaaa' %}" + "".join(statement(rng) for _ in range(rng.randint(1, 6)))
