#!/usr/bin/env python3
"""Plots every observable of a run against the coupling, one curve a size, exact values as lines: python scripts/plot.py DIR [OUT.png]
(needs h5py, h5netcdf, xarray, matplotlib)
"""
import sys
from pathlib import Path

import h5py
import matplotlib
import numpy
import xarray

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot

directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
picture = Path(sys.argv[2]) if len(sys.argv) > 2 else directory / "observables.png"

with h5py.File(directory / "results.h5", "r") as file:
    if "sampling" not in file:
        sys.exit("This run has no stage [sample]: there are no observables to plot.")
sampling = xarray.open_dataset(directory / "results.h5", engine="h5netcdf", group="sampling")
names = [name for name in sampling if f"{name}_errors" in sampling]
columns = min(3, len(names))
figure, panels = pyplot.subplots(-(-len(names) // columns), columns, figsize=(4.5 * columns, 3.4 * -(-len(names) // columns)), squeeze=False)
for panel in panels.flat[len(names) :]:
    panel.set_visible(False)
for panel, name in zip(panels.flat, names):
    for index, size in enumerate(sampling["size"].values):
        at = sampling.sel(size=size).squeeze()
        # In a window every size has couplings of its own; `coupling` is then a variable and not an axis.
        order = numpy.argsort(numpy.atleast_1d(at["coupling"].values))
        coupling, value, error, exact = (
            numpy.atleast_1d(values)[order] for values in (at["coupling"].values, at[name].values, at[f"{name}_errors"].values, at[f"{name}_exact"].values)
        )
        panel.errorbar(coupling, value, error, fmt="o", markersize=3, color=f"C{index}", label=f"L = {size}")
        panel.plot(coupling, exact, color=f"C{index}", linewidth=0.8)
    panel.set_xlabel("coupling K")
    units = sampling[name].attrs["units"]
    panel.set_title(sampling[name].attrs["long_name"] + ("" if units == "1" else f" ({units})"), fontsize="medium")
panels.flat[0].legend(fontsize="small")
figure.tight_layout()
figure.savefig(picture, dpi=120)
print(f"{picture}: {', '.join(names)}")
