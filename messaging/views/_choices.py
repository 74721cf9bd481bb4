"""The texts of the preference centre, in both languages."""

from __future__ import annotations

from datetime import datetime

from django.utils.timezone import localtime

CHOOSE = {
    "title": ("Your preferences", "偏好设置"),
    "lead": ("Choose what we send to {address}.", "选择我们发送到 {address} 的内容。"),
    "topics": ("What you receive", "接收内容"),
    "topic": ("Topic", "主题"),
    "save": ("Save", "保存"),
    "undo": ("Undo", "撤销"),
    "fixed": (
        "What is grey can be started again from a message that comes there.",
        "灰色的选项需从发送到该处的消息中重新开启。",
    ),
    "often": ("How often", "接收频率"),
    "often_note": (
        "Counts our marketing in all channels. Order and account messages are not limited.",
        "按所有渠道的营销消息合计，订单和账户通知不受影响。",
    ),
    "order": ("Which way first", "优先渠道"),
    "order_note": (
        "Where a message can come in several ways, we try yours first. What you have stopped stays stopped.",
        "一条消息有多种送达方式时，先用您选的方式。已停止的仍然停止。",
    ),
    "break": ("Take a break", "暂停接收"),
    "break_note": (
        "No marketing for 30 days. Nothing is sent later instead.",
        "30 天内不发送营销消息，之后也不会补发。",
    ),
    "break_on": ("Paused until {until}.", "已暂停至 {until}。"),
    "break_start": ("Pause for 30 days", "暂停 30 天"),
    "break_end": ("Resume now", "立即恢复"),
    "language": ("Language", "语言"),
    "profiling": ("Personalisation", "个性化"),
    "profiling_label": ("Do not choose messages by what I did", "不根据我的行为为我选择内容"),
    "profiling_note": (
        "We then no longer reckon with your purchases and visits, and you get what everybody gets.",
        "开启后，我们不再根据您的购买和浏览记录进行分析，您收到的内容与所有人相同。",
    ),
    "stop": ("Stop everything", "全部停止"),
    "stop_note": (
        "Only messages about your orders and your account still reach you.",
        "此后仅会收到与订单和账户有关的通知。",
    ),
    "sunset": (
        "We write to you less, since you have not opened our messages for a while.",
        "由于您很久没有打开我们的消息，我们已减少发送。",
    ),
    "keep": ("Keep me on the list", "我想继续接收"),
    "blocked": (
        "Nothing is sent to this address, whatever is chosen here.",
        "无论如何设置，都不会再向该地址发送消息。",
    ),
}
DONE = {"saved": ("Saved.", "已保存。"), "undone": ("Undone.", "已撤销。")}
ANY_CHANNEL = ("as you think best", "由你们决定")
PLACES = (("First", "首选"), ("Second", "其次"), ("Third", "第三"), ("Then", "之后"))
OFTEN = {
    "usual": ("As usual", "正常"),
    "week": ("At most one a week", "每周最多一条"),
    "month": ("At most one a month", "每月最多一条"),
}
OWN = ("At most {n} a {period}, as agreed with you", "按与您的约定，每{period}最多 {n} 条")
PERIODS = {"day": ("day", "天"), "week": ("week", "周"), "month": ("month", "月")}
LANGUAGES = {"en": "English", "zh-hans": "简体中文"}


def day(at: datetime | None, language: str) -> str:
    """A date as it is written in the language."""
    if at is None:
        return ""
    local = localtime(at)
    if language == "zh-hans":
        return f"{local.year}年{local.month}月{local.day}日"
    return f"{local.day} {local:%B %Y}"
