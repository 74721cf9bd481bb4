"""What guard, press and renderer say, in Chinese: they know no catalogue, so their words are matched here."""

from __future__ import annotations

import re

from common.text import is_chinese

_KINDS = {
    "a call": "调用", "a macro": "宏", "a call block": "call 块", "a set block": "set 块",
    "a filter block": "filter 块",
    "a raw block": "raw 块", "a recursive loop": "递归循环", "block": "block", "include": "include",
    "import": "import", "extends": "extends", "namespace": "namespace", "with": "with", "autoescape": "autoescape",
    "**": "**",
}  # fmt: skip
_SAID: tuple[tuple[str, str], ...] = (
    (r"longer than (\d+) KiB", "超过 {0} KiB"),
    (r"becomes longer than (\d+) KiB", "处理后超过 {0} KiB"),
    (r"the message is longer than (\d+) KiB", "消息超过 {0} KiB"),
    (r"the variables are longer than (\d+) KiB", "变量超过 {0} KiB"),
    (r"a filter returned more than (\d+) KiB", "过滤器返回超过 {0} KiB"),
    (r"holds a control character", "含有控制字符"),
    (r"nested too deep", "嵌套过深"),
    (r"a number is too large", "数字过大"),
    (r"out of memory", "内存不足"),
    (r"more than (\d+) parts", "超过 {0} 个语法节点"),
    (r"more than (\d+) loops one in another", "循环嵌套超过 {0} 层"),
    (r"more than (\d+) tags", "超过 {0} 个标签"),
    (r"more than (\d+) links", "超过 {0} 个链接"),
    (r"\{% set %\} takes one plain name", "{{% set %}} 只能设置一个普通名称"),
    (r"\{% set %\} cannot join or collect values", "{{% set %}} 不能拼接或收集值"),
    (r"'(.+)' is for numbers only", "'{0}' 只能用于数字"),
    (r"(date|datetime) knows long, short and iso, not '(.*)'", "{0} 只有 long、short 和 iso，没有 '{1}'"),
    (r"there is no such time zone", "没有这个时区"),
    (r"there is no filter '(.+)'", "没有过滤器 '{0}'"),
    (r"there is no test '(.+)'", "没有测试 '{0}'"),
    (r"there is no loop\.(.+)", "没有 loop.{0}"),
    (r"\* and \*\* are not allowed in a filter's arguments", "过滤器参数中不能用 * 和 **"),
    (r"'(.+)': names that begin with _ are not allowed", "'{0}'：不能使用以 _ 开头的名称"),
    (r"holds a word that publishing uses itself", "含有发布过程自用的词"),
    (r"a tag is not closed", "标签没有闭合"),
    (r"<(\w+)> is not allowed", "不允许 <{0}>"),
    (r"the attribute (.+) is not allowed", "不允许属性 {0}"),
    (r"style sheets from elsewhere are not fetched: write them into <style>", "不抓取外部样式表：请写进 <style>"),
    (r"a link leads nowhere", "链接无处可去"),
    (r"a link needs a full address: '(.*)'", "链接需要完整地址：'{0}'"),
    (r"a link must not begin with (\w+):", "链接不能以 {0}: 开头"),
    (r"a link is broken: '(.*)'", "链接有误：'{0}'"),
    (r"a link holds a blank, a backslash or a control character: '(.*)'", "链接含有空格、反斜杠或控制字符：'{0}'"),
    (r"a link must not carry a user name: '(.*)'", "链接不能带用户名：'{0}'"),
    (r"a link is longer than (\d+) characters", "链接超过 {0} 个字符"),
    (r"working it (.+) and was stopped", "处理时耗时或占用过多，已被终止（{0}）"),
    (r"the renderer (.+) and was stopped", "渲染耗时或占用过多，已被终止（{0}）"),
    (r"cannot be worked \((\w+)\)", "无法处理（{0}）"),
    (r"'(.+)' is undefined", "'{0}' 没有值"),
    (r"an empty value cannot be printed: give it a default", "空值不能输出：请给它 default"),
    (r"a list or a group of values is not text", "列表或一组值不是文本"),
    (r"this is not a (number|date|list)", "这不是{0}"),
    (r"the variables cannot be read", "变量无法读取"),
)  # fmt: skip
_WORDS = {"number": "数字", "date": "日期", "list": "列表"}
_KNOWN = [(re.compile(said), chinese) for said, chinese in _SAID]
_FORBIDDEN = re.compile(r"(.+) is not allowed")


def translated(message: str) -> str:
    """The message in the active language; as it came when it is none of ours (Jinja2's, mrml's)."""
    if not is_chinese():
        return message
    for pattern, chinese in _KNOWN:
        found = pattern.fullmatch(message)
        if found is not None:
            return chinese.format(*(_WORDS.get(one, one) for one in found.groups()))
    forbidden = _FORBIDDEN.fullmatch(message)
    return f"不允许{_KINDS.get(forbidden[1], forbidden[1])}" if forbidden is not None else message
