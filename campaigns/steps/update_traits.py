"""Change what is known of the person: set traits, take them from the walk's variables, or forget them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator

from campaigns.steps import Go, Intent, Place, Result, Step, Walker, steps
from campaigns.steps._keys import intent_key
from campaigns.steps._variables import look_up
from common.params import Params
from common.text import say

Name = Annotated[str, Field(min_length=1, max_length=64)]
Value = str | bool | int | float | list[str]
OWNED = frozenset({"email", "phone", "user_id", "anonymous_id"})  # under these a person is found and reached
LONGEST = 1000  # characters of one text


class UpdateParams(Params):
    """`set` gives values; `copy` names for each trait a variable ("event.properties.plan"), which is left as it is when
    the walk has none; `forget` names traits to drop."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    values: dict[Name, Value] = Field(default_factory=dict, alias="set", max_length=50)
    taken: dict[Name, Name] = Field(default_factory=dict, alias="copy", max_length=50)
    forget: tuple[Name, ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [*self.values, *self.taken, *self.forget]
        if not names:
            raise ValueError(say("say which traits to set, copy or forget", "请说明要设置、复制或清除哪些属性"))
        if len(set(names)) < len(names):
            raise ValueError(say("each trait may be named once", "每个属性只能出现一次"))
        if OWNED & set(names) or any(name.startswith(("@", "$")) for name in names):
            raise ValueError(
                say("names and addresses of a person are not changed by a journey", "旅程不能更改用户的标识与地址")
            )
        if any(isinstance(value, str) and len(value) > LONGEST for value in self.values.values()):
            raise ValueError(say(f"a text has at most {LONGEST} characters", f"文本最多 {LONGEST} 个字符"))
        return self


@steps.register("update_traits")
class UpdateTraits(Step[UpdateParams]):
    key: ClassVar[str] = "update_traits"
    Params = UpdateParams

    def decide(
        self, group: Sequence[Walker], params: UpdateParams, place: Place, now: datetime
    ) -> Mapping[int, Result]:
        return {w.enrolment: _result(w, _said(w, params)) for w in group}

    def say(self, params: UpdateParams, language: str) -> str:
        names = ", ".join([*params.values, *params.taken, *params.forget])
        return say(f"Update traits: {names}", f"更新属性：{names}", language)


def _said(walker: Walker, params: UpdateParams) -> dict[str, Any]:
    found: dict[str, Any] = {**params.values, **dict.fromkeys(params.forget)}
    for name, path in params.taken.items():
        value = look_up(walker.context, path)
        if isinstance(value, str | bool | int | float):
            found[name] = value[:LONGEST] if isinstance(value, str) else value
    return found


def _result(walker: Walker, said: Mapping[str, Any]) -> Result:
    if not said:
        return Go(reason="nothing to update")
    return Go(intents=(Intent("traits", intent_key(walker, "traits"), {"traits": said}),))
