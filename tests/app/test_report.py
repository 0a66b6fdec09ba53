"""The report is one closed file, the same each time, and shows odd stories without falling."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from plimsoll.app.report import Casualty, ReplayStory, render_report, write_report
from plimsoll.app.report.buckets import BAR_NS_MIN, BUCKETS_MAX, extreme_rows, gather_ticks
from plimsoll.app.report.charts import Chart, draw_charts
from plimsoll.app.report.text import format_minute, format_number, format_usd
from plimsoll.core import NS_PER_SECOND, InputError, Status, parse_time

START_NS = parse_time("2025-10-10T00:00:00Z", "start")
VOID = frozenset("meta link img input br hr".split())
LOADING = frozenset("src href srcset action data poster background".split())


def make_story(ticks: int = 96, step_seconds: int = 225) -> ReplayStory:
    random = np.random.default_rng(5)
    counts = random.integers(0, 50, (ticks, len(Status)))
    counts[:, Status.OK] = 1_000 - counts.sum(axis=1) + counts[:, Status.OK]
    return ReplayStory(
        title="A crash",
        subtitle="1,000 accounts, seed 5",
        time_ns=START_NS + np.arange(ticks, dtype=np.int64) * step_seconds * NS_PER_SECOND,
        symbols=("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"),
        price=100.0 * np.exp(np.cumsum(0.01 * random.standard_normal((ticks, 3)), axis=0)),
        status_counts=counts,
        liquidated_notional=random.exponential(1e5, (ticks, 3)),
        insurance_fund=1e6 - 1e3 * np.arange(ticks),
        bad_debt=10.0 * np.arange(ticks),
        margin_calls=random.integers(0, 9, ticks),
        margin_ratio_before=random.random(500),
        margin_ratio_after=np.concatenate([random.random(400), [1.2, 1.5, 9.0, np.inf, -3.0]]),
        casualties=(
            Casualty("a-1", START_NS, 1_234_567.8, 5e4, -2_500.4, 2_500.4, "Long SOL at 20x."),
        ),
        figures=(("Accounts", "1,000"), ("Journal hash", "9f" * 32)),
        notes=("The fee is unconfirmed.",),
    )


def get_chart(story: ReplayStory, key: str) -> Chart:
    return next(chart for chart in draw_charts(story) if chart.key == key)


class Outline(HTMLParser):
    """The open tags, identifiers, loading attributes and visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.loads += [f"{tag} {name}={value}" for name, value in attrs if name in LOADING]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(make_story())


def test_page_is_well_formed(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert outline.tags.count("h2") == 5 + 2
    assert page.count(get_plotlyjs()) == 1


def test_page_loads_nothing(page: str) -> None:
    own = page.replace(get_plotlyjs(), "")
    assert Outline(page).loads == []
    assert "link" not in Outline(page).tags
    assert not re.search(r"https?://|url\(|@import", own)
    assert "default-src 'none'" in own


def test_same_story_gives_same_bytes(page: str) -> None:
    assert render_report(make_story()) == page


def test_words_reach_the_page(page: str) -> None:
    text = Outline(page).text
    for words in ("A crash", "1,234,568", "−2,500", "Long SOL at 20x.", "The fee is unconfirmed."):
        assert words in text
    assert '<dl class="digests"><div><dt>Journal hash' in page


def test_all_text_is_escaped() -> None:
    evil = "</script><script>alert('x')</script>&"
    casualty = Casualty(evil, START_NS, 1.0, 1.0, 1.0, 1.0, evil)
    story = replace(
        make_story(),
        title=evil,
        subtitle=evil,
        symbols=(f"{evil}0", f"{evil}1", f"{evil}2/X"),
        casualties=(casualty,),
        figures=((evil, evil),),
        notes=(evil,),
    )
    page = render_report(story).replace(get_plotlyjs(), "")
    assert "<script>alert" not in page
    assert Outline(page).open == []
    assert Outline(page).text.count(evil) >= 7


def test_no_casualties() -> None:
    text = Outline(render_report(replace(make_story(), casualties=(), notes=(), figures=()))).text
    assert "No account was liquidated." in text
    assert "Notes and assumptions" not in text


def test_instrument_without_prices_is_named() -> None:
    story = make_story()
    story.price[:, 1] = np.nan
    chart = get_chart(story, "prices")
    assert [trace.name for trace in chart.figure.data] == ["BTC", "SOL"]
    assert "No price was seen for ETH." in chart.caption
    story.price[:] = np.nan
    assert "BTC, ETH, SOL" in Outline(render_report(story)).text


def test_single_tick_is_visible() -> None:
    story = make_story(ticks=1)
    assert "1 price update." in Outline(render_report(story)).text
    assert {trace.mode for trace in get_chart(story, "prices").figure.data} == {"lines+markers"}


def test_replay_without_liquidations() -> None:
    story = make_story()
    story.liquidated_notional[:] = 0.0
    story.bad_debt[:] = 0.0
    text = Outline(render_report(story)).text
    assert "nothing was liquidated" in text
    assert "no account lost more than it had" in text


def test_ratios_beyond_the_axis_share_the_last_bar() -> None:
    chart = get_chart(make_story(), "ratios")
    before, after = (np.asarray(trace.y) for trace in chart.figure.data)
    assert (before.sum(), after.sum(), after[-1]) == (500, 405, 4)
    assert "0 before, 4 after" in chart.caption
    unknown = replace(make_story(), margin_ratio_after=np.array([np.nan, np.inf]))
    assert "1 unknown ratios are not drawn" in get_chart(unknown, "ratios").caption
    empty = replace(make_story(), margin_ratio_after=np.empty(0))
    assert "500 before, 0 after" in get_chart(empty, "ratios").caption


def test_statuses_other_than_ok_are_stacked() -> None:
    story = make_story()
    areas = get_chart(story, "statuses").figure.data[: len(Status) - 1]
    stacked = sum(np.asarray(trace.y) for trace in areas)
    np.testing.assert_array_equal(stacked, 1_000 - story.status_counts[:, Status.OK])


def test_bars_add_up_to_the_ticks() -> None:
    story = make_story()
    bars = get_chart(story, "liquidations").figure.data
    assert [len(trace.x) for trace in bars] == [24, 24, 24]
    for trace, column in zip(bars, story.liquidated_notional.T, strict=True):
        expected = [column[row : row + 4].sum() for row in range(0, 96, 4)]
        np.testing.assert_allclose(trace.y, expected, rtol=1e-12)


def test_an_asset_keeps_its_colour() -> None:
    story = replace(make_story(), symbols=("BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"))
    lines = get_chart(story, "prices").figure.data
    bars = get_chart(story, "liquidations").figure.data
    assert [line.name for line in lines] == ["BTC/USDT:USDT", "ETH", "BTC/USD:BTC"]
    assert [bar.name for bar in bars] == ["BTC", "ETH"]
    assert [line.line.color for line in lines][:2] == [bar.marker.color for bar in bars]
    assert lines[0].line.color == lines[2].line.color
    assert lines[0].line.dash != lines[2].line.dash


def test_assets_beyond_the_palette_are_others() -> None:
    story = make_story()
    notional = np.tile(np.arange(8.0), (96, 1))
    many = replace(
        story,
        symbols=tuple(f"A{number}/USDT:USDT" for number in range(8)),
        price=np.ones((96, 8)),
        liquidated_notional=notional,
    )
    names = [bar.name for bar in get_chart(many, "liquidations").figure.data]
    assert names == ["A2", "A3", "A4", "A5", "A6", "A7", "others"]
    assert "Grey" in get_chart(many, "prices").caption


def test_long_story_says_how_it_is_gathered() -> None:
    story = make_story(ticks=6_000, step_seconds=1)
    for key in ("prices", "statuses", "insurance"):
        chart = get_chart(story, key)
        assert "6,000 ticks are drawn as" in chart.caption
        assert all(len(trace.x) <= 2 * BUCKETS_MAX + 2 for trace in chart.figure.data)
    line = np.asarray(get_chart(story, "prices").figure.data[0].customdata)
    assert (line.min(), line.max()) == (story.price[:, 0].min(), story.price[:, 0].max())


def test_extremes_agree_with_a_loop() -> None:
    random = np.random.default_rng(11)
    time_ns = np.cumsum(random.integers(1, 9 * 60, 6_000)) * NS_PER_SECOND
    values = random.standard_normal(6_000)
    values[random.random(6_000) < 0.3] = np.nan
    buckets = gather_ticks(time_ns, BAR_NS_MIN)
    assert buckets.width_ns == BAR_NS_MIN
    values[buckets.first_row[3] : buckets.first_row[4]] = np.nan
    rows = set(extreme_rows(values, buckets).tolist())
    starts = time_ns // buckets.width_ns
    for start in np.unique(starts):
        inside = np.flatnonzero(starts == start)
        kept = [row for row in inside.tolist() if row in rows]
        known = values[inside][~np.isnan(values[inside])]
        if known.size:
            assert values[kept].tolist().count(known.min()) == 1
            assert set(values[kept]) == {known.min(), known.max()}
        else:
            assert kept
            assert np.isnan(values[kept]).all()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("price", np.ones((96, 2))),
        ("bad_debt", np.ones(95)),
        ("status_counts", np.ones((96, 4), dtype=np.int64)),
        ("time_ns", np.zeros(96, dtype=np.int64)),
    ],
)
def test_columns_that_disagree_are_refused(name: str, column: np.ndarray) -> None:
    with pytest.raises(InputError, match=f"report.{name}"):
        replace(make_story(), **{name: column})


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0"),
        (12.345, "$12.3"),
        (999_999.0, "$1M"),
        (-1_234.0, "−$1.23k"),
        (4.5e12, "$4.5T"),
        (float("nan"), "n/a"),
        (float("inf"), "n/a"),
    ],
)
def test_money_reads_well(amount: float, text: str) -> None:
    assert format_usd(amount) == text


def test_numbers_and_times_read_well() -> None:
    assert format_number(-1_234_567.6) == "−1,234,568"
    assert format_number(float("nan")) == "n/a"
    assert format_minute(START_NS + 75 * 60 * NS_PER_SECOND) == "2025-10-10 01:15"


def test_report_is_written(tmp_path: Path, page: str) -> None:
    write_report(make_story(), tmp_path / "crash.html")
    assert (tmp_path / "crash.html").read_text(encoding="utf-8") == page
    with pytest.raises(InputError, match="cannot be written"):
        write_report(make_story(), tmp_path / "missing" / "crash.html")
