"""Bad files: name of the case, suffix, bytes, kind, mapping, and the exact answer to it."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

PEOPLE = {"user_id": "id", "city": "city"}
ORDERS = {"user_id": "id", "order_id": "no", "total": "sum", "placed_at": "at", "currency": ":USD"}


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    import pyarrow
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), out, **options)
    return out.getvalue()


def twice() -> bytes:
    import pyarrow
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([["a"], ["b"]], names=["id", "id"]), out)
    return out.getvalue()


def spoilt(raw: bytes) -> bytes:
    """Parquet whose footer is whole and whose pages are not."""
    return raw[:8] + bytes(255 - byte for byte in raw[8:200]) + raw[200:]


def lines(*rows: Any) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


PLAIN = parquet({"id": [str(n) for n in range(50)], "city": ["Bonn"] * 50}, compression="none", use_dictionary=False)
WHOLE_UTF16 = "id,city\n1,Bonn\n".encode("utf-16-le")
A_CALL = {"type": "track", "event": "Viewed", "userId": "mei"}

# Files that are refused before anything of them is read: case, suffix, bytes, and the start of every problem.
REFUSED: list[tuple[str, str, bytes, list[str]]] = [
    ("empty", ".csv", b"", ["file: the file is empty"]),
    ("only a BOM", ".csv", b"\xef\xbb\xbf", ["file: the file is empty"]),
    ("only line breaks", ".csv", b"\n\n\n", ["file: every column needs a name"]),
    ("a column without a name", ".csv", b"id,,city\n1,2,3\n", ["file: every column needs a name"]),
    ("a column twice", ".csv", b"id,city,id\n1,2,3\n", ["file: every column needs a name"]),
    ("gzip named CSV", ".csv", gzip.compress(b"id,city\n1,Bonn\n", mtime=0), ["file: this is packed"]),
    ("a zip", ".csv", b"PK\x03\x04" + bytes(60), ["file: this is packed"]),
    ("Parquet named CSV", ".csv", PLAIN, ["file: this is packed"]),
    ("an old spreadsheet", ".csv", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), ["file: this is packed"]),
    ("UTF-16 without its mark", ".csv", WHOLE_UTF16, ["file: this is no text"]),
    ("NUL bytes", ".csv", bytes(5000), ["file: this is no text"]),
    ("columns of another file", ".csv", b"name,town\n1,2\n", ["map: the file has no column 'id'", "map: the file has no column 'city'"]),
    ("a header of 200 KB", ".csv", b"x" * 200_000 + b"\n1\n", ["file: every column needs a name"]),
    ("no Parquet", ".parquet", b"PAR1 but not really PAR1", ["file: this is not Parquet"]),
    ("empty Parquet", ".parquet", b"", ["file: this is not Parquet"]),
    ("Parquet cut short", ".parquet", PLAIN[:-40], ["file: this is not Parquet"]),
    ("CSV named Parquet", ".parquet", b"id,city\n1,Bonn\n", ["file: this is not Parquet"]),
    ("Parquet with a column twice", ".parquet", twice(), ["file: every column needs a name"]),
    ("gzip named JSONL", ".jsonl", gzip.compress(b"{}", mtime=0), ["file: this is packed"]),
    ("a spreadsheet", ".xlsx", b"PK", ["file: '.xlsx' is none of"]),
    ("no suffix", "", b"id\n1\n", ["file: '' is none of"]),
]  # fmt: skip

# Files that are read: case, suffix, bytes, kind, mapping, rows stored, and (line, code) of every row refused.
Told = list[tuple[int, str]]
READ: list[tuple[str, str, bytes, str, dict[str, str], int, Told]] = [
    ("only a header", ".csv", b"id,city\n", "profiles", PEOPLE, 0, []),
    ("no line break at the end", ".csv", b"id,city\n1,Bonn", "profiles", PEOPLE, 1, []),
    ("old Mac line breaks", ".csv", b"id,city\r1,Bonn\r2,Rome\r", "profiles", PEOPLE, 2, []),
    ("all kinds of line breaks", ".csv", b"id,city\r\n1,Bonn\n2,Rome\r3,Oslo\r\n", "profiles", PEOPLE, 3, []),
    ("doubled quotes", ".csv", b'id,city\n1,"the ""old"" town"\n', "profiles", PEOPLE, 1, []),
    ("a quote inside a word", ".csv", b'id,city\n1,Bo"nn\n', "profiles", PEOPLE, 1, []),
    ("a quote never closed", ".csv", b'id,city\n1,Bonn\n2,"Rome\n3,Oslo\n', "profiles", PEOPLE, 2, []),
    ("text after a quote", ".csv", b'id,city\n1,"Bonn"x\n', "profiles", PEOPLE, 1, []),
    ("a field of 200 KB", ".csv", b"id,city\n1," + b"x" * 200_000 + b"\n2,Rome\n", "profiles", PEOPLE, 1, [(2, "not_csv")]),
    ("a line of 3 MB", ".csv", b"id,city\n1," + b"x," * 1_500_000 + b"\n2,Rome\n", "profiles", PEOPLE, 1, [(2, "wrong_width")]),
    ("a text of 9 KB", ".csv", b"id,city,x\n1,Bonn," + b"x" * 9000 + b"\n", "profiles", {**PEOPLE, "x": "x"}, 0, [(2, "string_too_long")]),
    ("NUL in a field", ".csv", b"id,city\n1,Bo\x00nn\n2,Rome\n", "profiles", PEOPLE, 1, [(2, "nul")]),
    ("broken UTF-8 is GB18030, or nothing", ".csv", b"id,city\n1,caf\xe9\n2,Rome\n", "profiles", PEOPLE, 1, [(2, "bad_utf8")]),
    ("UTF-16 cut in a character", ".csv", "id,city\n1,Bonn\n2,Rome\n".encode("utf-16")[:-1], "profiles", PEOPLE, 1, [(3, "bad_utf8")]),
    ("ids that name nobody", ".csv", b"id,city\nnull,x\n,x\n0,x\nNaN,x\n", "profiles", PEOPLE, 0, [(2, "illegal_id"), (3, "missing_id"), (4, "illegal_id"), (5, "illegal_id")]),
    ("a long id", ".csv", b"id,city\n" + b"u" * 300 + b",x\n", "profiles", PEOPLE, 0, [(2, "id_too_long")]),
    ("the same row twice", ".csv", b"id,city\n1,Bonn\n1,Bonn\n", "profiles", PEOPLE, 1, []),
    ("formulas", ".csv", b'id,city\n1,=1+1\n2,"@SUM(A1)"\n3,"=HYPERLINK(""http://x"")"\n', "profiles", PEOPLE, 3, []),
    ("amounts that are none", ".csv", b"id,no,sum,at\na,1,x,2026-01-01\na,2,NaN,2026-01-01\na,3,1e400,2026-01-01\na,4,,2026-01-01\na,5,-3,2026-01-01\na,6,\"1,50\",2026-01-01\na,7,999999999999999999999,2026-01-01\n", "orders", ORDERS, 0, [(2, "bad_amount"), (3, "bad_amount"), (4, "bad_amount"), (5, "missing_total"), (6, "bad_amount"), (7, "bad_amount"), (8, "bad_amount")]),
    ("times that are none", ".csv", b"id,no,sum,at\na,1,1,yesterday\na,2,1,2026-02-30\na,3,1,10000-01-01\na,4,1,\na,5,1,0001-01-01\n", "orders", ORDERS, 2, [(2, "bad_timestamp"), (3, "bad_timestamp"), (4, "bad_timestamp")]),
    ("an order without an id", ".csv", b"id,no,sum,at\na,,1,2026-01-01\n", "orders", ORDERS, 0, [(2, "missing_order_id")]),
    ("a coupon and currency that are none", ".jsonl", lines({"id": "a", "no": "1", "sum": 1, "cur": "DOLLARS"}, {"id": "a", "no": "2", "sum": 1, "cur": 5}), "orders", {"user_id": "id", "order_id": "no", "total": "sum", "currency": "cur"}, 0, [(1, "bad_currency"), (2, "bad_currency")]),
    ("an empty JSONL", ".jsonl", b"", "events", {}, 0, []),
    ("a BOM and CRLF in JSONL", ".jsonl", b"\xef\xbb\xbf" + lines(A_CALL).replace(b"\n", b"\r\n"), "events", {}, 1, []),
    ("empty lines in JSONL", ".jsonl", b"\n" + lines(A_CALL) + b"\n", "events", {}, 1, [(1, "empty_body"), (3, "empty_body")]),
    ("a JSON list over many lines", ".json", b"[\n" + lines(A_CALL) + b"]\n", "events", {}, 1, [(1, "not_json"), (3, "not_json")]),
    ("a JSON list in one line", ".json", lines([A_CALL, A_CALL]), "events", {}, 0, [(1, "not_an_object")]),
    ("numbers beyond all", ".jsonl", lines(b'{"type": "track", "event": "V", "userId": "a", "properties": {"n": ' + b"9" * 5000 + b"}}", b'{"type": "track", "event": "V", "userId": "a", "properties": {"n": NaN}}'), "events", {}, 0, [(1, "number_too_large"), (2, "not_a_number")]),
    ("a key twice in JSONL", ".jsonl", lines(b'{"userId": "a", "userId": "b", "event": "V"}'), "events", {}, 0, [(1, "duplicate_key")]),
    ("a line of 3 MB in JSONL", ".jsonl", b'{"event": "V", "userId": "' + b"x" * 3_000_000 + b'"}\n' + lines(A_CALL), "events", {}, 1, [(1, "too_large")]),
    ("1,000 levels in JSONL", ".jsonl", lines(b'{"event": "V", "userId": "a", "properties": ' + b"[" * 1000 + b"]" * 1000 + b"}"), "events", {}, 0, [(1, "too_deep")]),
    ("a JSONL in UTF-16", ".jsonl", json.dumps(A_CALL).encode("utf-16") + b"\n", "events", {}, 0, [(1, "not_json")]),
    ("Parquet of odd types", ".parquet", parquet({"id": ["a", "b", None], "city": ["x", "y", "z"], "blob": [b"\x00\xff", b"", None], "price": [Decimal("1.5"), Decimal(2), None], "nested": [{"a": 1}, None, {"a": 2}], "list": [[1, 2], [], None], "at": [datetime(2026, 1, 1, tzinfo=UTC)] * 3}), "profiles", {**PEOPLE, "price": "price", "nested": "nested", "list": "list", "at": "at"}, 2, [(3, "missing_id")]),
    ("bytes in Parquet", ".parquet", parquet({"id": ["a"], "city": ["x"], "blob": [b"\x00\xff"]}), "profiles", {**PEOPLE, "blob": "blob"}, 0, [(1, "wrong_type")]),
    ("NaN and infinity in Parquet", ".parquet", parquet({"id": ["a", "b"], "city": ["x", "y"], "n": [float("nan"), float("inf")]}), "profiles", {**PEOPLE, "n": "n"}, 1, [(2, "number_too_large")]),
    ("NUL in Parquet", ".parquet", parquet({"id": ["a", "b"], "city": ["x\x00", "y"]}), "profiles", PEOPLE, 1, [(1, "nul")]),
]  # fmt: skip
