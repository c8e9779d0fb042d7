#!/usr/bin/env python3
"""Turns copies of a good results.h5 into files that lie: python tests/python/hostile_files.py DIR writes DIR/hostile-*.h5. The Rust test seals them, as an
attacker who knows the seal would, so that the checks behind the seal are what refuses them."""
import shutil
import sys
from pathlib import Path

import h5py
import numpy

directory = Path(sys.argv[1])


def replace(file, name, **keys):
    del file[name]
    return file.create_dataset(name, **keys)


def virtual(file):
    layout = h5py.VirtualLayout(shape=(2,), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "data", shape=(2,))
    del file["sampling/coupling"]
    file.create_virtual_dataset("sampling/coupling", layout)


def link(file, name, target):
    del file[name]
    file[name] = target


def text_attribute(file):
    del file.attrs["seed"]
    file.attrs["seed"] = "seventeen"


HOSTILE = {
    "type": lambda file: replace(file, "sampling/L4/energy", data=numpy.zeros((2, 3, 5))),
    "rank": lambda file: replace(file, "sampling/L4/energy", data=numpy.zeros((6, 5), "i8")),
    "shape": lambda file: replace(file, "sampling/L4/energy", data=numpy.zeros((2, 3, 4), "i8")),
    "huge": lambda file: replace(file, "sampling/coupling", shape=(2**40,), chunks=(2**16,), dtype="f8", compression="gzip"),
    "overflow": lambda file: replace(file, "sampling/L4/energy", shape=(2**30, 2**30, 2**30), chunks=(1, 1, 2**10), dtype="i8"),
    "bomb": lambda file: replace(file, "sampling/coupling", data=numpy.zeros(2**24), chunks=(2**20,), compression="gzip"),
    "chunk": lambda file: replace(file, "sampling/coupling", data=numpy.zeros(2), chunks=(2**27,), maxshape=(None,), compression="gzip"),
    "filter": lambda file: replace(file, "sampling/coupling", data=numpy.zeros(2), chunks=(2,), compression="lzf"),
    "lengths": lambda file: replace(file, "submissions/host", shape=(2,), dtype=h5py.vlen_dtype("u1")),
    "external-storage": lambda file: replace(file, "sampling/coupling", shape=(2,), dtype="f8", external=[("/etc/passwd", 0, 16)]),
    "external-link": lambda file: link(file, "sampling", h5py.ExternalLink("/etc/passwd", "/")),
    "loop": lambda file: link(file, "sampling", h5py.SoftLink("/sampling")),
    "virtual": virtual,
    "missing": lambda file: file.__delitem__("sampling/L4"),
    "draws": lambda file: replace(file, "sampling/L4/measurements", data=numpy.full((2, 3), 2**40)),
    "attribute": text_attribute,
    "version": lambda file: file.attrs.modify("format_version", numpy.uint64(3)),
}

for name, spoil in HOSTILE.items():
    path = directory / f"hostile-{name}.h5"
    shutil.copyfile(directory / "results.h5", path)
    with h5py.File(path, "r+") as file:
        spoil(file)
