"""Why a feed gave nothing, in the operator's language: rows keep the English words, people read theirs."""

from __future__ import annotations

import re

from common.text import is_chinese

_SAID: tuple[tuple[str, str], ...] = (
    (r"HTTP (\d+) \(a redirect is not followed\)", "HTTP {0}（不跟随重定向）"),
    (r"longer than (\d+) KiB", "超过 {0} KiB"),
    (r"not JSON", "不是 JSON"),
    (r"there is no '(.+)' in it", "其中没有“{0}”"),
    (r"more than (\d+) values", "多于 {0} 个值"),
    (r"deeper than (\d+)", "深于 {0} 层"),
    (r"a number is too large", "数值过大"),
    (r"the host is not in FEED_HOSTS", "主机不在 FEED_HOSTS 中"),
    (r"the host lies inside a private network", "主机位于私有网络内"),
    (r"the host has no address", "主机没有地址"),
    (r"only https may be called", "只能调用 https"),
    (r"a host is needed, and no user name", "须有主机，且不得有用户名"),
    (r"port (\d+) may not be called", "不可调用端口 {0}"),
    (r"(\w+) is not set in the environment", "环境变量 {0} 未设置"),
    (r"the answer took too long|ReadTimeout|ConnectTimeout", "对方超时未答"),
    (r"ConnectError", "无法连接"),
    (r"the sample data lack a variable of the address", "样例数据缺少地址中的变量"),
    (r"not asked: no time left, or the server fails", "未询问：时间用尽，或对方故障"),
)
_KNOWN = [(re.compile(said), chinese) for said, chinese in _SAID]


def in_words(error: str) -> str:
    """The error as people read it; one that is not known stays as it is (a status, a library's word)."""
    if not is_chinese():
        return error
    for pattern, chinese in _KNOWN:
        found = pattern.fullmatch(error)
        if found:
            return chinese.format(*found.groups())
    return error
