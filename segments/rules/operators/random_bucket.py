"""A stable share of everyone: each person has one bucket from 0 to 9999 for life."""

from __future__ import annotations

from typing import Annotated

from django.db.models import Q
from pydantic import Field, model_validator

from common.params import Params
from common.text import say
from segments.rules.operators import At, Operator, Reads, operators

Bucket = Annotated[int, Field(ge=0, le=9999)]


class RandomBucketParams(Params):
    """Buckets `low` to `high`, both included: 0 to 999 are a tenth of everyone."""

    low: Bucket = 0
    high: Bucket = 9999

    @model_validator(mode="after")
    def _ordered(self) -> RandomBucketParams:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


@operators.register("random_bucket")
class RandomBucket(Operator[RandomBucketParams]):
    """The same people every time, whatever else changes."""

    key = "random_bucket"
    family = "groups"
    profiling = False
    Params = RandomBucketParams

    def q(self, params: RandomBucketParams, at: At) -> Q:
        return Q(bucket__gte=params.low, bucket__lte=params.high)

    def say(self, params: RandomBucketParams, language: str) -> str:
        share = (params.high - params.low + 1) / 100
        return say(f"is in the random share {params.low}–{params.high} ({share:g} %)",
                   f"属于随机分桶 {params.low}–{params.high}（{share:g}%）", language)  # fmt: skip

    def reads(self, params: RandomBucketParams) -> Reads:
        return Reads()
