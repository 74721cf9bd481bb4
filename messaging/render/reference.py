"""What a template may say, with a sentence for each, for the editor's help and for docs/rendering.md."""

from __future__ import annotations

from dataclasses import dataclass

from common.text import say


@dataclass(frozen=True)
class Entry:
    """One variable or filter as it is written, and what it gives in both languages."""

    written: str
    english: str
    chinese: str

    @property
    def said(self) -> str:
        """The sentence in the active language."""
        return say(self.english, self.chinese)


VARIABLES: tuple[Entry, ...] = (
    Entry(
        "profile.first_name",
        "a person's own columns: also last_name, email, phone, city, country, birthday …",
        "用户的固定字段：还有 last_name、email、phone、city、country、birthday 等",
    ),
    Entry("profile.plan", "any trait of the person; give it a default", "用户的任意特征；请给它 default"),
    Entry("event.total", "a property of the fact that began or moved the walk", "触发或推进旅程的事实的属性"),
    Entry(
        "coupon.code",
        "the coupon granted in this walk; also coupon.expires_at",
        "本次旅程发放的优惠券；还有 coupon.expires_at",
    ),
    Entry("points.balance", "points the person has", "用户的积分余额"),
    Entry("level.name", "the person's level; also level.key, level.rank", "用户等级；还有 level.key、level.rank"),
    Entry("journey.campaign", "the campaign; also journey.key, journey.node", "活动；还有 journey.key、journey.node"),
    Entry(
        "brand.name",
        "the workspace; also brand.url, brand.address, brand.currency, brand.timezone",
        "工作区；还有 brand.url、brand.address、brand.currency、brand.timezone",
    ),
    Entry(
        "links.unsubscribe",
        "the reader's own pages: also links.preferences, links.view",
        "读者自己的页面：还有 links.preferences、links.view",
    ),
    Entry("preheader", "the preheader part, in an e-mail's HTML", "预览文字，用于邮件 HTML 中"),
    Entry("locale", "the language the message is written in", "消息所用的语言"),
    Entry("blocks.footer", "the block of that key, put in place when the draft is published", "该键的模块，发布时放入"),
)

FILTERS: tuple[Entry, ...] = (
    Entry(
        "default(x)",
        'x when the value is missing or empty; default(x, true) also for "", 0 and []',
        '值缺失或为空时取 x；default(x, true) 对 ""、0、[] 也生效',
    ),
    Entry(
        "name(x)",
        'profile | name("there"): the name in the order of the reader\'s language, or x',
        'profile | name("您好")：按读者语言的姓名顺序，没有则为 x',
    ),
    Entry(
        "date",
        "2 March 2026, March 2, 2026 (en-US), 2026年3月2日, where the reader is;"
        ' date("short"), date("iso"), date("long", "Asia/Tokyo")',
        '按读者所在时区：2026年3月2日、2 March 2026；date("short")、date("iso")、date("long", "Asia/Tokyo")',
    ),
    Entry(
        "time",
        'hours and minutes where the reader is: 14:05, 2:05 PM (en-US); time("Asia/Tokyo")',
        '按读者所在时区的时和分：14:05；time("Asia/Tokyo")',
    ),
    Entry(
        "datetime",
        "day and time: 2 March 2026, 14:05; forms and zone as of date",
        "日期和时间：2026年3月2日 14:05；形式和时区同 date",
    ),
    Entry(
        'money("USD")',
        "minor units as a price: $12.50, in Chinese US$12.50; without a currency the workspace's",
        "最小单位变价格：$12.50，中文为 US$12.50；不写币种则用工作区的",
    ),
    Entry("number(2)", "1,234.50", "1,234.50"),
    Entry("round(2)", "rounded; also int, float, abs", "四舍五入；还有 int、float、abs"),
    Entry("int", "a whole number", "整数"),
    Entry("float", "a broken number", "小数"),
    Entry("abs", "without its sign", "绝对值"),
    Entry("upper", "upper case; also lower, title, capitalize, trim", "大写；还有 lower、title、capitalize、trim"),
    Entry("lower", "lower case", "小写"),
    Entry("title", "Each Word Capital", "每词首字母大写"),
    Entry("capitalize", "First letter capital", "首字母大写"),
    Entry("trim", "without blanks at its ends", "去掉首尾空白"),
    Entry("truncate(80)", "at most 80 characters, … at the end", "至多 80 个字符，末尾为 …"),
    Entry("replace(a, b)", "b wherever a stood", "把 a 换成 b"),
    Entry('join(", ")', "a list as text", "列表连成文本"),
    Entry("plain", "without tags, on one line", "去掉标签，合为一行"),
    Entry("string", "as text", "转为文本"),
    Entry(
        "escape",
        "escaped for HTML (HTML parts do so by themselves); also e",
        "HTML 转义（HTML 部分会自动转义）；也可写 e",
    ),
    Entry("urlencode", "for the path or query of a link", "用于链接的路径或参数"),
    Entry(
        "json",
        'as JSON, quotes included, for webhooks: {"name": {{ profile.first_name | json }}}',
        '转为 JSON（含引号），用于 webhook：{"name": {{ profile.first_name | json }}}',
    ),
    Entry("length", "how many; also count", "个数；也可写 count"),
    Entry("first", "of a list; also last", "列表的第一个；还有 last"),
    Entry("last", "of a list", "列表的最后一个"),
)
ALIASES = {"d": "default", "e": "escape", "count": "length"}
