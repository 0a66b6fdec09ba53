"""Assets that can be held as balances, with the exact unit each is counted in."""

from dataclasses import dataclass, field

import numpy as np

from plimsoll.core import Floats, InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class AssetTable:
    """Names and decimals of assets; row number = asset index.

    ``decimals[i]`` says that balances of ``names[i]`` count units of 10**-decimals, and ``unit``
    [assets] what one is in the asset itself.
    """

    names: tuple[str, ...]
    decimals: tuple[int, ...]
    unit: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive what every valuation asks for."""
        unit = np.array([10.0**-decimals for decimals in self.decimals], dtype=np.float64)
        object.__setattr__(self, "unit", unit)

    def find(self, name: str, place: str) -> int:
        """Index of an asset; InputError naming ``place`` where it is unknown."""
        try:
            return self.names.index(name)
        except ValueError:
            remedy = did_you_mean(name, self.names)
            raise InputError(place, f"unknown asset '{name}'", remedy) from None
