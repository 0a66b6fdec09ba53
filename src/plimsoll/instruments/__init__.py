"""What is traded and what is posted: spot, perpetuals, dated futures, options; assets.

Entry points: ``parse_symbol`` and ``InstrumentTable``. Invariants: symbols are ccxt unified
symbols and say everything but the contract's size; a table only ever grows, so an index into
it stays valid; nothing here knows a price.
"""

from plimsoll.instruments.assets import AssetTable
from plimsoll.instruments.instrument import Instrument, Kind, Payoff
from plimsoll.instruments.payoff import profit, value_coefficient
from plimsoll.instruments.symbol import format_symbol, parse_symbol
from plimsoll.instruments.table import InstrumentTable

__all__ = [
    "AssetTable",
    "Instrument",
    "InstrumentTable",
    "Kind",
    "Payoff",
    "format_symbol",
    "parse_symbol",
    "profit",
    "value_coefficient",
]
