"""Rehearsing a journey on days that have been: real facts of a sample of people, the real engine, a clock that is set.

A back-test lives in a process and a database of its own (`child`, `scratch`): what is asked is copied there, the facts
are ingested again in order (`history`), the clock goes from look to look (`looks`), and what came of it is counted
(`result`). Nothing goes over a network (`quiet`) and nothing is written to the installation but the outcome (`run`).
"""

from __future__ import annotations
