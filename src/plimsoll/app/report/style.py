"""Colours: one per asset and one per status, the same in every chart, told apart by all eyes."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from plimsoll.app.report.story import ReplayStory
from plimsoll.core import Status

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK = "#1b2330"
MUTED = "#5b6675"
GRID = "#e6e9ee"
FUND = "#2f4b6e"
BEFORE = "#c3cedb"

STATUS_COLOURS = MappingProxyType(
    {
        Status.BANKRUPT: "#5c1023",
        Status.LIQUIDATABLE: "#d55e00",
        Status.MARGIN_CALL: "#f0b429",
        Status.UNKNOWN: "#a3a9b3",
    }
)
"""The statuses that are drawn, all but OK, the gravest first."""

# Blues, greens and purples: the warm hues belong to the statuses.
_ASSET_COLOURS = ("#0072b2", "#aa4499", "#117733", "#56b4e9", "#8a8a1f", "#332288")
ASSETS_MAX = len(_ASSET_COLOURS)
_OTHER_COLOUR = "#a3a9b3"
_DASHES = ("solid", "dot", "dash", "dashdot")


@dataclass(frozen=True, slots=True)
class SymbolStyle:
    """How one instrument is drawn. ``group`` is its asset, or "others" beyond the palette."""

    label: str
    group: str
    colour: str
    dash: str


def style_symbols(story: ReplayStory) -> tuple[SymbolStyle, ...]:
    """One style per symbol: assets have colours, instruments of one asset differ by dash.

    Where the assets outnumber the palette, those with most liquidated notional get a colour.
    """
    assets = tuple(symbol.partition("/")[0] for symbol in story.symbols)
    named = _named_assets(assets, story)
    colours = dict(zip(named, _ASSET_COLOURS, strict=False))
    styles = []
    for column, asset in enumerate(assets):
        known = asset in colours
        styles.append(
            SymbolStyle(
                label=asset if assets.count(asset) == 1 else story.symbols[column],
                group=asset if known else "others",
                colour=colours.get(asset, _OTHER_COLOUR),
                dash=_DASHES[assets[:column].count(asset) % len(_DASHES)],
            )
        )
    return tuple(styles)


def _named_assets(assets: tuple[str, ...], story: ReplayStory) -> tuple[str, ...]:
    distinct = tuple(dict.fromkeys(assets))
    if len(distinct) <= ASSETS_MAX:
        return distinct
    per_symbol = np.nansum(story.liquidated_notional, axis=0)
    totals = [
        sum(float(total) for total, of in zip(per_symbol, assets, strict=True) if of == asset)
        for asset in distinct
    ]
    largest = np.argsort(-np.array(totals), kind="stable")[:ASSETS_MAX]
    return tuple(distinct[row] for row in largest)


def dress_figure(figure: Any, height: int) -> None:
    """Give a plotly figure the page's look: font, margins, legend, grid."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 84, "r": 16, "t": 34, "b": 66},
        font={"family": FONT, "size": 13, "color": INK},
        hovermode="x unified",
        hoverlabel={"bgcolor": "white", "bordercolor": GRID},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        showlegend=True,
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    figure.update_xaxes(gridcolor=GRID, linecolor=MUTED, ticks="outside", tickcolor=MUTED)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID)
    for update_axes in (figure.update_xaxes, figure.update_yaxes):
        update_axes(title_font={"size": 13, "color": MUTED})
