"""Assets that can be held as balances, with the exact unit each is counted in."""

from dataclasses import dataclass

import numpy as np

from plimsoll.core import Floats, InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class AssetTable:
    """Names and decimals of assets; row number = asset index.

    ``decimals[i]`` says that balances of ``names[i]`` count units of 10**-decimals.
    """

    names: tuple[str, ...]
    decimals: tuple[int, ...]

    def find(self, name: str, place: str) -> int:
        """Index of an asset; InputError naming ``place`` where it is unknown."""
        try:
            return self.names.index(name)
        except ValueError:
            remedy = did_you_mean(name, self.names)
            raise InputError(place, f"unknown asset '{name}'", remedy) from None

    @property
    def unit(self) -> Floats:
        """Value of one unit of each asset in the asset itself, shape [assets]."""
        return np.array([10.0**-decimals for decimals in self.decimals], dtype=np.float64)
