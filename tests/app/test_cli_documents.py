"""Documents that will not do: one line each, which names the place and the remedy."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.command import plimsoll
from tests.app.documents import PLAIN, raw, with_, with_account, with_market, with_position

QUANTITY = '"quantity": 2'
# name of the file, its bytes, what the line must name: the place, and something of the problem
MALFORMED: dict[str, tuple[str, bytes, str, str]] = {
    "empty": ("d.yaml", b"", "d.yaml", "empty"),
    "blank": ("d.json", b" \n\t\n", "d.json", "empty"),
    "comments alone": ("d.yaml", b"# nothing\n", "d.yaml", ""),
    "UTF-16": ("d.yaml", json.dumps(PLAIN).encode("utf-16"), "d.yaml", "UTF-8"),
    "Latin-1": ("d.yaml", "as_of: 2025\nwho: Zoë\n".encode("latin-1"), "line 2", "0xeb"),
    "binary": ("d.yaml", bytes(range(256)), "d.yaml", "UTF-8"),
    "a control character": ("d.yaml", b"as_of: \x07\n", "d.yaml", "character"),
    "broken JSON": ("d.json", json.dumps(PLAIN).encode()[:-2], "line 1", "not JSON"),
    "broken YAML": ("d.yaml", b"as_of: 2025\n market: {\n", "line 2", "YAML"),
    "a tab": ("d.yaml", b"market:\n\tindex: {}\n", "line 2", "spaces"),
    "deep JSON": ("d.json", b"[" * 100_000, "d.json", "deep"),
    "deep JSON objects": ("d.json", b'{"a":' * 100_000, "d.json", "deep"),
    "deep YAML": ("d.yaml", b"a: " + b"[" * 100_000, "d.yaml", "deep"),
    "deep YAML blocks": (
        "d.yaml",
        b"\n".join(b" " * i + b"a:" for i in range(400)),
        "d.yaml",
        "deep",
    ),
    "an alias bomb": (
        "d.yaml",
        b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "line 1",
        "anchors",
    ),
    "a tag": ("d.yaml", b"as_of: !!python/object/apply:os.system [ls]\n", "line 1", "tag"),
    "two documents": ("d.yaml", b"as_of: x\n---\nas_of: y\n", "line 2", "document"),
    "a list": ("d.json", b"[]", "d.json", ""),
    "a number": ("d.json", b"7", "d.json", ""),
    "a word": ("d.yaml", b"hello", "d.yaml", ""),
    "no time": (
        "d.json",
        json.dumps({k: v for k, v in PLAIN.items() if k != "as_of"}).encode(),
        "as_of",
        "missing",
    ),
    "no market": ("d.json", b'{"as_of": "2025-10-10", "accounts": []}', "market", "missing"),
    "a time as a number": ("d.json", with_(as_of=1760129100), "as_of", ""),
    "no such day": ("d.json", with_(as_of="2025-13-45"), "as_of", "2025-13-45"),
    "a far year": ("d.json", with_(as_of="9999-01-01"), "as_of", "9999"),
    "an unknown field": ("d.json", with_account(balance={}), "accounts[0].balance", "balances"),
    "an unknown top field": ("d.json", with_(acounts=[]), "acounts", "accounts"),
    "a key twice": ("d.json", raw(QUANTITY, f"{QUANTITY}, {QUANTITY}"), "positions[0]", "twice"),
    "NaN": ("d.json", with_position(quantity=float("nan")), "quantity", "NaN"),
    "Infinity": ("d.json", with_position(quantity=float("inf")), "quantity", "Infinity"),
    "-Infinity": (
        "d.json",
        with_account(balances={"USDT": float("-inf")}),
        "balances.USDT",
        "Infinity",
    ),
    "YAML's NaN": ("d.yaml", raw(QUANTITY, '"quantity": .nan'), "quantity", "nan"),
    "YAML's infinity": ("d.yaml", raw(QUANTITY, '"quantity": -.inf'), "quantity", "inf"),
    "1e400": ("d.json", raw(QUANTITY, '"quantity": 1e400'), "quantity", "1e400"),
    "1e-400": ("d.json", raw(QUANTITY, '"quantity": 1e-400'), "quantity", "1e-400"),
    "an endless exponent": (
        "d.json",
        raw(QUANTITY, '"quantity": 1e999999999999'),
        "quantity",
        "range",
    ),
    "an endless number": (
        "d.json",
        raw(QUANTITY, f'"quantity": {"9" * 5000}'),
        "quantity",
        "range",
    ),
    "a number as text": ("d.json", with_position(quantity="2"), "quantity", ""),
    "a flag for a number": ("d.json", with_position(quantity=True), "quantity", ""),
    "null for a number": ("d.json", raw(QUANTITY, '"quantity": null'), "quantity", ""),
    "a list for a number": ("d.json", with_position(quantity=[2]), "quantity", ""),
    "a list of balances": ("d.json", with_account(balances=[1]), "accounts[0].balances", ""),
    "a mapping of positions": ("d.json", with_account(positions={}), "accounts[0].positions", ""),
    "a negative mark": (
        "d.json",
        with_market(instruments={"BTC/USDT:USDT": {"mark": -1}}),
        "market.instruments['BTC/USDT:USDT'].mark",
        "above 0",
    ),
    "an index of zero": ("d.json", with_market(index={"BTC": 0}), "market.index.BTC", "above 0"),
    "a negative entry": ("d.json", with_position(entry_price=-5), "entry_price", "above 0"),
    "no entry": ("d.json", with_position(entry_price=None), "entry_price", "missing"),
    "a native symbol": (
        "d.json",
        with_position(symbol="BTCUSDT"),
        "positions[0].symbol",
        "'BTC/USDT:USDT'",
    ),
    "an unknown symbol": (
        "d.json",
        with_position(symbol="XYZ/USDT:USDT"),
        "positions[0].symbol",
        "XYZ",
    ),
    "a symbol that is none": (
        "d.json",
        with_position(symbol="\u0000💥"),
        "positions[0].symbol",
        "",
    ),
    "an expired future": (
        "d.json",
        with_market(instruments={"BTC/USDT:USDT-240628": {"mark": 1}}),
        "BTC/USDT:USDT-240628",
        "expired",
    ),
    "an unknown mode": (
        "d.json",
        with_position(margin_mode="portfolio"),
        "margin_mode",
        "isolated",
    ),
    "isolated without margin": (
        "d.json",
        with_position(margin_mode="isolated"),
        "isolated_margin",
        "missing",
    ),
    "an id twice": ("d.json", with_(accounts=PLAIN["accounts"] * 2), "accounts[1].id", "desk"),
    "an id with a line feed": ("d.json", with_account(id="a\nb"), "accounts[0].id", ""),
    "an empty id": ("d.json", with_account(id=""), "accounts[0].id", ""),
    "a system's id": ("d.json", with_account(id="@world"), "accounts[0].id", "@"),
    "a position twice": (
        "d.json",
        with_account(positions=PLAIN["accounts"][0]["positions"][:1] * 2),
        "positions[1]",
        "",
    ),
    "an unknown model": ("d.json", with_account(model="binance"), "model", "binance.usdm"),
    "an unknown parameter": ("d.json", with_account(params={"fee": 1}), "fee", ""),
    "a parameter of the wrong shape": (
        "d.json",
        with_account(params={"brackets": 1}),
        "brackets",
        "shape",
    ),
    "too much": ("d.json", with_position(quantity=1e17), "accounts", "1e18"),
    "a spot position": (
        "d.json",
        with_(
            market={**PLAIN["market"], "instruments": {"BTC/USDT": {"mark": 1}}},
            accounts=[{"id": "a", "positions": [{"symbol": "BTC/USDT", "quantity": 1}]}],
        ),
        "positions[0].symbol",
        "spot",
    ),
}


@pytest.mark.parametrize(
    ("name", "data", "place", "problem"), MALFORMED.values(), ids=MALFORMED.keys()
)
def test_a_malformed_document_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    data: bytes,
    place: str,
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(data)
    done = plimsoll("margin", name)
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert len(lines) == 1, done.err
    assert re.fullmatch(rf"error: {re.escape(name)}: .+; .+", lines[0]), lines[0]
    assert lines[0].isprintable()
    assert len(lines[0]) < 300
    assert place in lines[0], lines[0]
    assert problem in lines[0], lines[0]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.symlink_to(path), ""),
    ],
    ids=["missing", "a directory", "a link to itself"],
)
def test_a_path_that_is_no_document(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    path = tmp_path / "d.yaml"
    make(path)
    done = plimsoll("margin", path)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"error: {re.escape(str(path))}: .*{problem}.*; .+\n", done.err)
