"""The instruments of a book as columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from plimsoll.core import Bools, Floats, InputError, Int8s, Int32s, Int64s, did_you_mean
from plimsoll.instruments.assets import AssetTable
from plimsoll.instruments.exact import exact_units
from plimsoll.instruments.instrument import Instrument, Kind, Payoff

DECIMALS_DEFAULT = 8


@dataclass(frozen=True, slots=True)
class InstrumentTable:
    """Columns over instruments; row number = instrument index.

    ``base``, ``quote`` and ``settle`` are indices into ``assets``. ``multiplier`` is in
    the unit that ``Instrument.contract_multiplier`` states, ``quantity_unit`` the number of
    contracts in one exact unit of quantity, ``price_unit`` the price of one exact unit of price,
    ``exact`` the factors of ``exact_units``. ``is_inverse`` leaves out options, whose price is in
    the settle asset whatever they settle in.
    """

    rows: tuple[Instrument, ...]
    assets: AssetTable
    index: Mapping[str, int]
    kind: Int8s
    payoff: Int8s
    base: Int32s
    quote: Int32s
    settle: Int32s
    multiplier: Floats
    quantity_unit: Floats
    price_decimals: Int64s
    price_unit: Floats
    strike: Floats
    expiry_ns: Int64s
    is_call: Bools
    is_inverse: Bools
    is_quanto: Bools
    is_option: Bools
    exact: Int64s

    @classmethod
    def build(
        cls, rows: Iterable[Instrument], asset_decimals: Mapping[str, int]
    ) -> "InstrumentTable":
        """A table of the given instruments and of every asset they or the balances need.

        Assets are ordered by name; one without stated decimals counts units of 1e-8. Raises
        InputError where a symbol is listed twice or a contract multiplier is impossible.
        """
        listed = tuple(rows)
        for row in listed:
            size = row.contract_multiplier
            if size <= 0 or (row.kind == Kind.SPOT and size != 1):
                problem = f"a contract multiplier of {size} is impossible"
                raise InputError(row.symbol, problem, "give a positive one; 1 for spot")
        names = sorted(
            {name for row in listed for name in (row.base, row.quote, row.settle)}
            | set(asset_decimals)
        )
        assets = AssetTable(
            tuple(names), tuple(asset_decimals.get(name, DECIMALS_DEFAULT) for name in names)
        )
        position = {name: i for i, name in enumerate(names)}
        index = {row.symbol: i for i, row in enumerate(listed)}
        if len(index) != len(listed):
            raise InputError("instruments", "a symbol is listed twice", "list each symbol once")
        base = [position[row.base] for row in listed]
        settle = [position[row.settle] for row in listed]
        kind = np.array([row.kind for row in listed], dtype=np.int8)
        payoff = np.array([row.payoff for row in listed], dtype=np.int8)
        is_option = kind == Kind.OPTION
        return cls(
            rows=listed,
            assets=assets,
            index=MappingProxyType(index),
            kind=kind,
            payoff=payoff,
            base=np.array(base, dtype=np.int32),
            quote=np.array([position[row.quote] for row in listed], dtype=np.int32),
            settle=np.array(settle, dtype=np.int32),
            multiplier=np.array([float(row.contract_multiplier) for row in listed]),
            quantity_unit=np.array([10.0**-row.quantity_decimals for row in listed]),
            price_decimals=np.array([row.price_decimals for row in listed], dtype=np.int64),
            price_unit=np.array([10.0**-row.price_decimals for row in listed]),
            strike=np.array([float(row.strike) for row in listed]),
            expiry_ns=np.array([row.expiry_ns for row in listed], dtype=np.int64),
            is_call=np.array([row.is_call for row in listed], dtype=np.bool_),
            is_inverse=(payoff == Payoff.INVERSE) & ~is_option,
            is_quanto=payoff == Payoff.QUANTO,
            is_option=is_option,
            exact=exact_units(listed, assets, base, settle),
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Unified symbols, in row order."""
        return tuple(row.symbol for row in self.rows)

    def find(self, symbol: str, place: str) -> int:
        """Index of a symbol; InputError naming ``place`` where it is unknown."""
        found = self.index.get(symbol)
        if found is None:
            remedy = did_you_mean(symbol, self.index)
            raise InputError(place, f"unknown symbol '{symbol[:60]}'", remedy)
        return found

    def of_kind(self, kind: Kind) -> Bools:
        """Mask of the instruments of one kind, shape [instruments]."""
        return np.asarray(self.kind == kind)

    def of_payoff(self, payoff: Payoff) -> Bools:
        """Mask of the instruments with one payoff, shape [instruments]."""
        return np.asarray(self.payoff == payoff)
