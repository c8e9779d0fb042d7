#!/usr/bin/env python3
"""How to read the files of a run in Python: python scripts/load.py DIR   (needs h5py, h5netcdf, xarray)

Prints the energy of each ensemble beside the exact one, unpacks the configurations, and checks the magnetization of each against the time series.
"""
import sys
from pathlib import Path

import h5py
import numpy
import xarray

directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Observables over (size, coupling), each with _errors, _autocorrelation_time, _effective_samples and _exact. In a window every size has couplings of its own: the axis is then
# `point`, and `coupling` a variable over (size, point).
with h5py.File(directory / "results.h5", "r") as file:
    was_sampled = "sampling" in file
if not was_sampled:
    print("This run has no stage [sample]: there are no observables.")
sampling = xarray.open_dataset(directory / "results.h5", engine="h5netcdf", group="sampling") if was_sampled else xarray.Dataset({"size": []})
axis = "coupling" if "coupling" in sampling.dims else "point"
for size in sampling["size"].values:
    for place in range(sampling.sizes[axis]):
        at = sampling.sel(size=size).isel({axis: place})
        if "energy_per_site" in at:
            energy, error, exact = (float(at["energy_per_site" + part]) for part in ("", "_errors", "_exact"))
            print(f"L = {size}, K = {float(at['coupling']):.6f}: energy per site {energy:.6f} +- {error:.6f} J (exact {exact:.6f})")

# Configurations, eight spins a byte; row y and column x of a lattice are [configuration, y, x], of a cubic one [configuration, z, y, x], of a chain [configuration, x].
path = directory / "configurations.h5"
if path.exists():
    with h5py.File(path, "r") as file:
        for name, group in file.items():
            if "packed" not in group:
                continue
            packed, sites, size = group["packed"][...], int(group.attrs["sites"]), int(group.attrs["size"])
            up = numpy.unpackbits(packed, axis=1, count=sites, bitorder="little")
            spins = 2 * up.astype(int).reshape(len(up), *[size] * int(group.attrs["dimension"])) - 1
            # The series over (coupling, chain, draw), where they are kept, say the same of the draw that each configuration was.
            series = xarray.open_dataset(directory / "results.h5", engine="h5netcdf", group=f"sampling/L{size}") if was_sampled else xarray.Dataset()
            if "magnetization" not in series:
                print(f"{name}: {len(spins)} configurations, first row of the first: {spins.reshape(-1, size)[0]}")
                continue
            origin = {"chain": xarray.DataArray(group["chain"][...].astype(int)), "draw": xarray.DataArray(group["draw"][...].astype(int))}
            recorded = series["magnetization"].sel(coupling=group.attrs["coupling"]).isel(origin)
            if not (recorded.values == spins.reshape(len(spins), sites).sum(axis=1)).all():
                sys.exit(f"{name}: the magnetization of a configuration differs from its series")
            print(f"{name}: {len(spins)} configurations agree with their series, first row of the first: {spins.reshape(-1, size)[0]}")
