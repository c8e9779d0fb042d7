#!/usr/bin/env python3
"""Opens every file of a run directory with h5py, xarray and netCDF4 and compares dimensions, coordinates, units and values with DIR/record.json, the same
record as the Rust test wrote it: python tests/python/check_files.py DIR"""
import json
import sys
from pathlib import Path

import h5py
import netCDF4
import numpy
import xarray

directory = Path(sys.argv[1])
record = json.loads((directory / "record.json").read_text())
files = {name: directory / f"{name}.h5" for name in ("results", "network", "configurations")}


def number(value):
    return numpy.nan if value is None else value


def same(found, expected, what):
    found, expected = numpy.asarray(found), numpy.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape} instead of {expected.shape}"
    assert numpy.array_equal(found, expected.astype(found.dtype), equal_nan=found.dtype.kind == "f"), f"{what}: {found} instead of {expected}"


def dataset(name, group):
    return xarray.open_dataset(files[name], engine="h5netcdf", group=group)


def every_variable():
    """Every variable has units, a long name and named dimensions with coordinates; numbers are filtered; every NXdata group has its signal and axes."""
    count = 0
    for path in files.values():
        with h5py.File(path, "r") as file:
            assert file.attrs["NX_class"] == "NXroot" and file.attrs["format_version"] == 2
            for key in ("program_version", "git_commit", "run_file", "run_file_hash"):
                assert file.attrs[key] == record["provenance"][key], key
            assert file.attrs["seed"] == record["provenance"]["seed"]
            assert file.attrs["default"] in file

            def visit(name, item):
                nonlocal count
                if isinstance(item, h5py.Group):
                    if item.attrs.get("NX_class") == "NXdata" and "signal" in item.attrs:
                        signal = item[item.attrs["signal"]]
                        axes = list(item.attrs["axes"])
                        assert [item[axis].shape[0] for axis in axes] == list(signal.shape), name
                    return
                count += 1
                assert isinstance(item.attrs["units"], str) and item.attrs["long_name"], name
                if not item.is_scale:
                    for axis, dimension in enumerate(item.dims):
                        assert len(dimension) == 1 and dimension[0].shape == (item.shape[axis],), f"{name}, axis {axis}"
                if h5py.check_string_dtype(item.dtype) is None:
                    assert item.fletcher32 and item.shuffle and item.compression == "gzip", name

            file.visititems(visit)
        netCDF4.Dataset(path).close()
    assert count > 80, count


def links():
    """One file shows all."""
    with h5py.File(directory / "all.h5", "r") as file:
        assert sorted(file) == sorted([*files, "submissions"])
        for name, path in files.items():
            with h5py.File(path, "r") as target:
                assert sorted(file[name]) == sorted(target) and file[name].attrs["run_file_hash"] == target.attrs["run_file_hash"]


def sampling():
    part = record["sampling"]
    found = dataset("results", "sampling")
    assert found.attrs["algorithm"] == part["algorithm"] and found.attrs["draws"] == part["draws"]
    same(found["size"], part["sizes"], "size")
    same(found["coupling"], part["couplings"], "coupling")
    shape = (len(part["sizes"]), len(part["couplings"]))
    for index, observable in enumerate(part["ensembles"][0]["observables"]):
        name = observable["name"]
        assert found[name].dims == ("size", "coupling") and found[name].attrs["units"] == observable["units"]
        assert found[name].attrs["long_name"] == observable["long_name"]
        of_all = [ensemble["observables"][index] for ensemble in part["ensembles"]]
        values = {"_exact": [number(one["exact"]) for one in of_all]}
        for ending, key in (("", "mean"), ("_errors", "error"), ("_autocorrelation_time",) * 2, ("_effective_samples",) * 2):
            values[ending] = [number(one["estimate"][key.removeprefix("_")]) for one in of_all]
        for ending, expected in values.items():
            same(found[name + ending], numpy.reshape(numpy.array(expected, float), shape), name + ending)
    same(found["spin_updates"], numpy.reshape([ensemble["spin_updates"] for ensemble in part["ensembles"]], shape), "spin_updates")
    with netCDF4.Dataset(files["results"]) as file:
        for size in part["sizes"]:
            ensembles = [ensemble for ensemble in part["ensembles"] if ensemble["size"] == size]
            series = dataset("results", f"sampling/L{size}")
            if ensembles[0]["histograms"]:
                histograms(file, size, ensembles)
                continue
            for name in ("energy", "magnetization"):
                assert series[name].dims == ("coupling", "chain", "draw") and series[name].dtype == numpy.int64
                expected = [[chain[name] for chain in ensemble["chains"]] for ensemble in ensembles]
                same(series[name], expected, name)
                same(series[name].sel(coupling=part["couplings"][1]).isel(chain=2), expected[1][2], name)
                by_netcdf = file[f"sampling/L{size}/{name}"]
                assert by_netcdf.dimensions == ("coupling", "chain", "draw")
                same(by_netcdf[...], expected, f"{name} by netCDF4")


def histograms(file, size, ensembles):
    """In the place of series: a row for each coupling, group of chains and value."""
    groups = [(one["coupling"], group, histogram) for one in ensembles for group, histogram in enumerate(one["histograms"])]
    rows = [(coupling, group, row) for coupling, group, histogram in groups for row in histogram["energies"]]
    found = dataset("results", f"sampling/L{size}/energy_histogram")
    assert found["energy"].dims == ("bin",) and found["energy"].dtype == numpy.int64 and found["energy"].attrs["units"] == "J"
    same(found["coupling"], [coupling for coupling, _, _ in rows], "coupling")
    same(found["group"], [group for _, group, _ in rows], "group")
    columns = {"absolute_magnetization_sum": "absolute_magnetization", "magnetization_squared_sum": "magnetization_squared"}
    columns |= {"magnetization_fourth_power_sum": "magnetization_fourth_power", "wave_power_sum": "wave_power"}
    for name, key in {"energy": "energy", "count": "count", **columns}.items():
        same(found[name], [row[key] for _, _, row in rows], name)
        same(file[f"sampling/L{size}/energy_histogram/{name}"][...], [row[key] for _, _, row in rows], f"{name} by netCDF4")
    same(found["improved_square_sum"], [row["improved"][0] for _, _, row in rows], "improved_square_sum")
    rows = [(coupling, group, row) for coupling, group, histogram in groups for row in histogram["magnetizations"]]
    found = dataset("results", f"sampling/L{size}/magnetization_histogram")
    for place, name in enumerate(("magnetization", "count")):
        same(found[name], [row[place] for _, _, row in rows], name)
    same(found["coupling"], [coupling for coupling, _, _ in rows], "coupling")


def submissions():
    found = dataset("results", "submissions")
    expected = record["provenance"]["submissions"]
    assert [str(host) for host in found["host"].values] == [one["host"] for one in expected]
    started = numpy.array([one["started"] for one in expected], "datetime64[s]")
    same(found["started"].values.astype("datetime64[s]"), started, "started")


def training():
    for number_, layer in enumerate(record["training"]["layers"], start=1):
        found = dataset("network", f"training/layer{number_}")
        assert found["weights"].dims == ("visible", "hidden") and found["weights"].dtype == numpy.float32
        same(found["weights"], numpy.reshape(layer["weights"], (layer["visible"], layer["hidden"])), "weights")
        same(found["visible_bias"], layer["visible_bias"], "visible_bias")
        same(found["hidden_bias"], layer["hidden_bias"], "hidden_bias")
        for of in (found, dataset("results", f"training/layer{number_}")):
            for key in layer["epochs"][0]:
                assert of[key].dims == ("epoch",)
                same(of[key], [epoch[key] for epoch in layer["epochs"]], key)


def renormalization():
    part = record["renormalization"]
    found = dataset("results", "renormalization/receptive_fields")
    same(found["mean_window_share"], [layer["mean_window_share"] for layer in part["receptive_fields"]], "mean_window_share")
    for number_, layer in enumerate(part["receptive_fields"], start=1):
        field = dataset("results", f"renormalization/receptive_fields/layer{number_}")
        side = int((len(layer["fields"]) // layer["units"]) ** 0.5)
        assert field["field"].dims == ("unit", "row", "column")
        same(field["field"], numpy.reshape(layer["fields"], (layer["units"], side, side)), "field")
        same(field["centre"], [one["centre"] for one in layer["measures"]], "centre")
        same(field["sign_coherence"], [one["sign_coherence"] for one in layer["measures"]], "sign_coherence")
    found = dataset("results", "renormalization/reconstruction")
    same(found["block_side"], [float(number(layer["block_side"])) for layer in part["reconstructions"]], "block_side")
    same(found["agreement"], [layer["agreement"][0] for layer in part["reconstructions"]], "agreement")
    found = dataset("results", "renormalization/mapping")
    assert [str(name) for name in found["name"].values] == [one["name"] for one in part["mappings"]]
    same(found["trace_violation"], [one["trace_violation"] for one in part["mappings"]], "trace_violation")
    likelihood = part["likelihood"]
    found = dataset("results", "renormalization/likelihood")
    both = [likelihood["forward"], likelihood["reverse"]]
    assert [str(name) for name in found["direction_name"].values] == ["forward", "reverse"]
    same(found["log_partition_function"], [one["log_partition_function"] for one in both], "log_partition_function")
    same(found["divergence_by_direction"], [one["divergence"][0] for one in both], "divergence_by_direction")
    violation = [found.attrs["trace_violation"], found.attrs["trace_violation_error"]]
    assert violation == likelihood["trace_violation"] and numpy.isnan(found.attrs["divergence"])
    found = dataset("results", "renormalization/likelihood/relaxation")
    assert found["energy_per_site"].dims == ("sweep", "start")
    same(found["sweep"], [point["sweep"] for point in likelihood["relaxation"]], "sweep")
    same(found["energy_per_site"][:, 1], [point["from_random"][0] for point in likelihood["relaxation"]], "energy_per_site")
    found = dataset("results", "renormalization/likelihood/thermodynamics")
    same(found["exact"], [number(row["exact"]) for row in likelihood["observables"]], "exact")
    found = dataset("results", "renormalization/likelihood/two_point_function")
    assert found["correlation"].dims == ("distance", "start")
    same(found["distance"], [row["distance"] for row in likelihood["correlations"]], "distance")
    same(found["correlation_errors"][:, 1], [row["from_random"][1] for row in likelihood["correlations"]], "correlation_errors")
    same(found["exact"], [row["exact"] for row in likelihood["correlations"]], "exact")
    found = dataset("results", "renormalization/examples")
    same(found["spins"], [example["spins"] for example in part["examples"]], "spins")
    same(found["reconstruction"], [example["reconstructions"] for example in part["examples"]], "reconstruction")


def configurations():
    sets = json.loads((directory / "spins.json").read_text())
    with h5py.File(files["configurations"], "r") as file:
        for name, expected in sets.items():
            packed, sites = file[name]["packed"][...], int(file[name]["packed"].attrs["sites"])
            assert file[name]["packed"].attrs["unpack"] == 'numpy.unpackbits(packed, axis=1, count=sites, bitorder="little")'
            same(eval(file[name]["packed"].attrs["unpack"]), expected, name)
    for name in sets:
        found = dataset("configurations", name)
        assert found["packed"].dims == ("configuration", "byte") and found["chain"].dims == ("configuration",)


def a_flipped_byte():
    """HDF5's own sums find a flipped byte too, for those who read without kadanoff."""
    damaged = directory / "damaged.h5"
    name = "sampling/L4/energy_histogram/energy" if record["sampling"]["ensembles"][0]["histograms"] else "sampling/L4/energy"
    with h5py.File(files["results"], "r") as file:
        energy = file[name].id
        place = energy.get_chunk_info(0).byte_offset
    content = bytearray(files["results"].read_bytes())
    content[place + 2] ^= 1
    damaged.write_bytes(content)
    with h5py.File(damaged, "r") as file:
        try:
            file[name][...]
        except OSError:
            return
    raise AssertionError("h5py read a damaged chunk")


for check in (every_variable, links, sampling, submissions, training, renormalization, configurations, a_flipped_byte):
    check()
    print(f"{check.__name__}: as it should be")
