#!/usr/bin/env python3
"""The lines of the README that take averages at another coupling from a histogram: python tests/python/reweight.py DIR SIZE FROM TO

Prints the energy per site in J at the coupling TO, its error, and <M^2> / N^2, from the histogram of the size at the coupling FROM."""
import sys

import numpy
import xarray

directory, size, coupling, other = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])

table = xarray.open_dataset(f"{directory}/results.h5", engine="h5netcdf", group=f"sampling/L{size}/energy_histogram").to_dataframe()
table = table[table.coupling == coupling]
table["weight"] = numpy.exp(-(other - coupling) * (table.energy - table.energy.mean()))


def averages(rows):
    draws = (rows["count"] * rows.weight).sum()
    return (rows.energy * rows["count"] * rows.weight).sum() / draws, (rows.magnetization_squared_sum * rows.weight).sum() / draws


energy, square = averages(table)
without = numpy.array([averages(table[table.group != group])[0] for group in table.group.unique()])     # jackknife over independent groups of chains
error = numpy.sqrt((len(without) - 1) * without.var())
print(energy / size**2, error / size**2, square / size**4)
