"""The names of the RFM cells, in English and Chinese."""

from __future__ import annotations

CELLS = {
    "champions": ("Champions", "冠军客户"),
    "loyal": ("Loyal", "忠诚客户"),
    "potential_loyalist": ("Potential Loyalist", "潜在忠诚"),
    "new": ("New", "新客户"),
    "promising": ("Promising", "有希望"),
    "need_attention": ("Need Attention", "需要关注"),
    "about_to_sleep": ("About To Sleep", "即将沉睡"),
    "at_risk": ("At Risk", "流失风险"),
    "cant_lose": ("Can't Lose Them", "不能失去"),
    "hibernating": ("Hibernating", "沉睡"),
    "lost": ("Lost", "已流失"),
}
OCTANTS = {
    "key_value": ("Key Value", "重要价值"),
    "key_growth": ("Key Growth", "重要发展"),
    "key_keep": ("Key Keep", "重要保持"),
    "key_win_back": ("Key Win-back", "重要挽留"),
    "common_value": ("Common Value", "一般价值"),
    "common_growth": ("Common Growth", "一般发展"),
    "common_keep": ("Common Keep", "一般保持"),
    "common_win_back": ("Common Win-back", "一般挽留"),
}
