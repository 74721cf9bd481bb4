"""Invented names and addresses for households that have none; the same household always gets the same."""

from __future__ import annotations

from dataclasses import dataclass

from common.buckets import pick, unit

DOMAIN = "example.com"
GIVEN = (
    *("Ada", "Amir", "Anna", "Ben", "Carla", "Chidi", "Clara", "Daniel", "Elena", "Emil", "Erin", "Farid", "Grace"),
    *("Hana", "Hugo", "Ines", "Ivan", "Jonas", "Julia", "Karim", "Leila", "Liam", "Lucia", "Maria", "Mateo", "Mia"),
    *("Nadia", "Noah", "Nora", "Olga", "Omar", "Oscar", "Paula", "Pedro", "Priya", "Rosa", "Sam", "Sara", "Sofia"),
    *("Tariq", "Theo", "Uma", "Vera", "Victor", "Yara", "Yusuf", "Zoe"),
)
FAMILY = (
    *("Adler", "Baker", "Berg", "Costa", "Cruz", "Diaz", "Engel", "Fischer", "Fontaine", "Garcia", "Haddad", "Hansen"),
    *("Ibrahim", "Jansen", "Kaur", "Keller", "Kovacs", "Lang", "Lopez", "Marino", "Meyer", "Moreau", "Nguyen", "Novak"),
    *("Okafor", "Olsen", "Patel", "Petrov", "Quinn", "Reyes", "Rossi", "Santos", "Schmidt", "Silva", "Singh", "Stone"),
    *("Tanaka", "Torres", "Vogel", "Walker", "Weber", "Young"),
)
GIVEN_ZH = (
    *("伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超", "秀英"),
    *("霞", "平", "刚", "桂英", "子涵", "欣怡", "浩然", "思远", "雨桐", "梓萱", "嘉怡", "俊杰", "晓明", "文静"),
)
FAMILY_ZH = (
    *("王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "何", "郭"),
    *("马", "罗", "梁", "宋", "郑", "谢", "韩", "唐", "冯", "于", "董", "萧", "欧阳", "司马"),
)
CITIES = ("New York", "Boston", "Philadelphia", "Atlanta", "Miami", "Cincinnati", "Columbus", "Detroit")
CITIES_ZH = ("上海", "北京", "广州", "深圳", "杭州", "成都", "南京", "武汉")
CHINESE_SHARE = 1 / 3


@dataclass(frozen=True)
class Person:
    """One household as the demo knows it. `user_id` is its name in every fact."""

    user_id: str
    email: str
    first_name: str
    last_name: str
    locale: str
    timezone: str
    country: str
    city: str


def person(household: int) -> Person:
    """The invented person of a household: about a third Chinese, in Shanghai's zone; the rest in New York's."""
    chinese = unit("demo:language", str(household)) < CHINESE_SHARE
    user_id = f"household-{household}"
    first = _one("first", household, GIVEN_ZH if chinese else GIVEN)
    last = _one("last", household, FAMILY_ZH if chinese else FAMILY)
    city = _one("city", household, CITIES_ZH if chinese else CITIES)
    address = f"{user_id}@{DOMAIN}" if chinese else f"{first}.{last}.{household}@{DOMAIN}".lower()
    if chinese:
        return Person(user_id, address, first, last, "zh-Hans", "Asia/Shanghai", "CN", city)
    return Person(user_id, address, first, last, "en", "America/New_York", "US", city)


def _one(what: str, household: int, choices: tuple[str, ...]) -> str:
    return choices[pick(f"demo:{what}", str(household), [1.0] * len(choices))]
