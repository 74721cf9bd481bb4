"""The API's own description, open to all: it says what there is, and nothing of what is in it."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny


class Schema(SpectacularAPIView):
    """OpenAPI 3 as YAML or JSON."""

    public: ClassVar[bool] = True
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
