#!/usr/bin/env python3
"""Reads what `kadanoff export` wrote and compares it with what kadanoff itself reads: python tests/python/check_exports.py DIR [--rbms]
With --rbms, the package rbms loads its files."""
import json
import sys
from pathlib import Path

import h5py
import numpy

directory = Path(sys.argv[1])
expected = json.loads((directory / "expected.json").read_text())
layers = expected["layers"]


def single(values, *shape):
    return numpy.array(values, "f4").reshape(shape)


archive = numpy.load(directory / "run.npz")
for name, spins in zip(["L6_K0.3", "L6_K0.4"], expected["spins"]):
    found = archive[f"configurations_{name}"]
    assert found.dtype == numpy.uint8 and (found == numpy.array(spins)).all(), name
    assert archive[f"chain_{name}"].shape == archive[f"draw_{name}"].shape == (len(spins),)
for number, layer in enumerate(layers, 1):
    weights = archive[f"layer{number}_weights"]
    assert weights.dtype == numpy.float32 and (weights == single(layer["weights"], layer["visible"], layer["hidden"])).all()
    assert (archive[f"layer{number}_visible_bias"] == single(layer["visible_bias"], -1)).all()
    assert (archive[f"layer{number}_hidden_bias"] == single(layer["hidden_bias"], -1)).all()

for file, layer in zip(["rbms-layer1.h5", "second.h5"], layers):
    path = directory / file
    with h5py.File(path) as file:
        assert file["model_type"][()].decode() == "BBRBM"
        chains = file["parallel_chains"][()]
        assert chains.shape == (9, layer["visible"]) and set(numpy.unique(chains)) <= {0.0, 1.0}
        if layer is layers[0]:
            assert (chains == numpy.array(expected["spins"][1])[-9:]).all(), "the held-out configurations"
        parameters = file["update_7/params"]
        assert sorted(parameters) == ["hbias", "vbias", "weight_matrix"]
        assert (parameters["weight_matrix"][()] == single(layer["weights"], layer["visible"], layer["hidden"])).all()
        assert (parameters["vbias"][()] == single(layer["visible_bias"], -1)).all()
        assert (parameters["hbias"][()] == single(layer["hidden_bias"], -1)).all()
        assert file["hyperparameters/num_visibles"][()] == layer["visible"] and file["update_7/time"][()] >= 0
    if "--rbms" in sys.argv:
        import torch
        from rbms.io import load_model

        machine, chains, _ = load_model(str(path), 7, "cpu", torch.float32)
        assert machine.name == "BBRBM" and machine.num_hiddens == layer["hidden"]
        assert (machine.weight_matrix.numpy() == single(layer["weights"], layer["visible"], layer["hidden"])).all()
        # The free energy of a configuration by either program's convention is the same number.
        visible = chains["visible"][:1]
        weights = single(layer["weights"], layer["visible"], layer["hidden"]).astype(float)
        field = visible.numpy().astype(float) @ weights + layer["hidden_bias"]
        free = -(visible.numpy() @ numpy.array(layer["visible_bias"]))[0] - numpy.logaddexp(0, field).sum()
        assert abs(float(machine.compute_energy_visibles(visible)[0]) - free) < 1e-4
print("as it should be")
