"""Settings of processes that a test starts: the installation's own, plus fault points from PERENNIAL_FAULTS."""

from __future__ import annotations

import os

from config.settings import *  # noqa: F403
from tests.faults import install_from

ALLOW_FAULTS = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
install_from(os.environ.get("PERENNIAL_FAULTS", ""), allowed=ALLOW_FAULTS)
