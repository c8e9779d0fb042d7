"""The table of scripts/peers: kadanoff, mcising and peapods take turns, and the energy of each is held against the exact one.

    python scripts/lib/peers.py PROGRAM [SIDE...] [--json]

What is compared. Metropolis: attempted flips a nanosecond. Swendsen-Wang: nanoseconds a site and sweep. Wolff: nanoseconds a flipped spin. Tempering: attempted flips a
nanosecond with exchanges after every sweep; kadanoff moves 512 ladders at once, the others one. kadanoff is timed by `kadanoff bench`, which verifies what it times.

mcising is handed a configuration at equilibrium, and its clock runs while it sweeps. peapods cannot be handed one, sums energies after every sweep, and makes cluster moves
only between Metropolis sweeps: it starts hot, relaxes by its own Swendsen-Wang moves, and what its Metropolis sweeps take is subtracted from what both take. Its Wolff
flips N <m^2> spins a cluster, which holds at equilibrium.
"""
import importlib.metadata
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import mcising
import numpy
import peapods

CRITICAL = math.log(1 + math.sqrt(2)) / 2
# Where a lattice forgets its start in a few sweeps.
WEAK = 0.2
SIDES = [64, 256, 1024, 4096]
# peapods takes seconds for a sweep above this side, and adds up more bonds than its single precision can count.
LARGEST_AT_EQUILIBRIUM = 1024
TURNS = 3
SECONDS = 0.6
# What is asked of kadanoff against mcising.
BARS = {"metropolis": 300, "swendsen-wang": 10}
UNITS = {"metropolis": "flips/ns", "tempering": "flips/ns", "swendsen-wang": "ns/site", "wolff": "ns/flipped spin"}


def say(line):
    print(line, file=sys.stderr, flush=True)


class Program:
    """kadanoff itself."""

    def __init__(self, path):
        self.path = path

    def objects(self, *arguments):
        done = subprocess.run([self.path, *arguments, "--json"], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"kadanoff {' '.join(arguments)} ended with exit code {done.returncode}.")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def exact(self, side, coupling):
        """The energy a site, and the standard deviation of that of one configuration: Var(E) = C N / K^2."""
        values = self.objects("exact", "--geometry", "square", "--size", str(side), "--coupling", repr(coupling))[0]
        return values["energy_per_site"], math.sqrt(values["specific_heat_per_site"]) / (coupling * side)

    def turn(self, name, side):
        row = self.objects("bench", name, "--side", str(side))[0]
        self.instruction_set = row["instruction_set"]
        if row["unit"] != UNITS[name]:
            sys.exit(f"kadanoff bench {name} counts {row['unit']}, this table {UNITS[name]}.")
        return row["median"]

    def configurations(self, sides):
        """One configuration of each side at the critical coupling, spins +-1."""
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run.toml"
            run.write_text(
                f"seed = 14103831\n[lattice]\ngeometry = \"square\"\nsizes = {sides}\n[sample]\ncouplings = [{CRITICAL!r}]\nalgorithm = \"swendsen-wang\"\n"
                "start = \"cold\"\nreplicas = 1\nthermalization = 150\nsweeps = 4\nconfigurations = 1\n[report]\nfigures = false\n"
            )
            out = Path(folder) / "out"
            done = subprocess.run([self.path, "run", run, "--out", out, "--threads", "1"], stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                sys.exit(f"kadanoff run ended with exit code {done.returncode}: {done.stderr}")
            spins = {}
            with h5py.File(out / "configurations.h5") as file:
                for group in (group for group in file.values() if "packed" in group):
                    side, sites = int(group.attrs["size"]), int(group.attrs["sites"])
                    up = numpy.unpackbits(group["packed"][:1], axis=1, count=sites, bitorder="little")[0]
                    spins[side] = (2 * up.astype(numpy.int8) - 1).reshape(side, side)
        return spins


def deviation(energies, exact, spread):
    """How many standard errors the mean of a series lies off. Where the series is too short to know its memory, it counts as one configuration."""
    series = numpy.asarray(energies, dtype=float)
    error = spread
    centred = series - series.mean()
    variance = (centred**2).mean()
    if len(series) >= 20 and variance > 0:
        tau = 0.5
        for lag in range(1, len(series) // 2):
            tau += (centred[:-lag] * centred[lag:]).mean() / variance
            if lag >= 6 * tau:
                break
        tau = max(tau, 0.5)
        if len(series) >= 40 * tau:
            error = math.sqrt(2 * tau * variance / len(series))
    return (series.mean() - exact) / error


def hold(who, energies, reference):
    """Stops everything if an energy is wrong."""
    exact, spread = reference
    off = deviation(energies, exact, spread)
    if not abs(off) < 5:
        sys.exit(f"{who} has the energy {numpy.mean(energies):.6f} a site, {off:.1f} standard errors from the exact {exact:.6f}: its speed is not worth a number.")
    return off


def chunk_of(action):
    """How many sweeps take some ten milliseconds."""
    count = 1
    while True:
        began = time.perf_counter()
        action(count)
        if time.perf_counter() - began > 0.01:
            return count
        count *= 2


class Mcising:
    """One lattice at one coupling."""

    name = "mcising"

    def __init__(self, algorithm, spins, coupling):
        side = len(spins)
        self.simulation = mcising.IsingSimulation(side, 1.0, 0.0, 0.0, 0.0, 14103831, algorithm.replace("-", "_"), "square")
        self.simulation.set_spins(numpy.ascontiguousarray(spins))
        self.temperature, self.energies = 1 / coupling, []
        self.chunk = chunk_of(lambda count: self.simulation.sweep(count, temperature=self.temperature))

    def turn(self):
        """Nanoseconds for an attempted flip, a site, a flipped spin."""
        taken = work = 0
        while taken < SECONDS:
            began = time.perf_counter()
            # Its `attempted` are the spins it looked at; for Wolff, those it flipped.
            work += self.simulation.sweep(self.chunk, temperature=self.temperature)[1]
            taken += time.perf_counter() - began
            self.energies.append(self.simulation.energy())
        return 1e9 * taken / work


class Peapods:
    """One lattice at one coupling; `moves` is what it does between Metropolis sweeps."""

    name = "peapods"
    MOVES = {"metropolis": {}, "swendsen-wang": {"cluster_update_interval": 1, "cluster_mode": "sw"}, "wolff": {"cluster_update_interval": 1, "cluster_mode": "wolff"}}

    def __init__(self, side, coupling):
        self.side = side
        self.model = peapods.Ising((side, side), temperatures=numpy.array([1 / coupling]))
        self.energies = {move: [] for move in self.MOVES}
        self.chunks = {}

    def sample(self, move, count):
        self.model.sample(count, warmup_ratio=0.0, sequential=True, **self.MOVES[move])

    def energy(self):
        """Of the present spins: its own sums are single precision."""
        spins = numpy.asarray(self.model._sim.get_spins()).reshape(self.side, self.side).astype(numpy.int32)
        return -float((spins * (numpy.roll(spins, 1, 0) + numpy.roll(spins, 1, 1))).sum()) / self.side**2

    def turn(self, move):
        """Nanoseconds a site for a sweep with this move after it, and the mean of m^2."""
        if move not in self.chunks:
            self.chunks[move] = chunk_of(lambda count: self.sample(move, count))
        taken, sweeps, squares = 0, 0, []
        while taken < SECONDS:
            began = time.perf_counter()
            self.sample(move, self.chunks[move])
            taken += time.perf_counter() - began
            sweeps += self.chunks[move]
            squares.append(float(self.model.mags2[0]))
            self.energies[move].append(self.energy())
        return 1e9 * taken / (sweeps * self.side**2), statistics.fmean(squares)


def figure(name, nanoseconds):
    return 1 / nanoseconds if UNITS[name] == "flips/ns" else nanoseconds


class Row:
    """Speeds of one algorithm at one side."""

    def __init__(self, name, size):
        self.name, self.size, self.figures = name, size, {"kadanoff": [], "mcising": [], "peapods": []}

    def add(self, who, value):
        self.figures[who].append(value)

    def median(self, who):
        return statistics.median(self.figures[who]) if self.figures[who] else None

    def ratio(self, who):
        ours, theirs = self.median("kadanoff"), self.median(who)
        if theirs is None:
            return None
        return ours / theirs if UNITS[self.name] == "flips/ns" else theirs / ours

    def show(self, as_json):
        def text(value, digits):
            return "-" if value is None else f"{value:.{digits}g}"

        say(
            f"{self.name:<14} {self.size!s:>16} {UNITS[self.name]:>16} {text(self.median('kadanoff'), 3):>9}"
            + "".join(f" {text(self.median(who), 3):>9} {text(self.ratio(who), 3):>7}" for who in ("mcising", "peapods"))
        )
        if as_json:
            peers = {who: {"median": self.median(who), "turns": self.figures[who], "ratio": self.ratio(who)} for who in ("mcising", "peapods")}
            print(json.dumps({"name": self.name, "size": self.size, "unit": UNITS[self.name], "kadanoff": self.median("kadanoff"), "turns": self.figures["kadanoff"], **peers}), flush=True)


def table_of_side(program, side, spins, as_json):
    """Three rows."""
    reference = program.exact(side, CRITICAL)
    rows = {name: Row(name, side) for name in ("metropolis", "swendsen-wang", "wolff")}
    peers = {name: Mcising(name, spins, CRITICAL) for name in rows}
    pods = Peapods(side, CRITICAL)
    at_equilibrium = side <= LARGEST_AT_EQUILIBRIUM
    pods.sample("swendsen-wang", 60 if at_equilibrium else 1)
    for _ in range(TURNS):
        plain = 0
        for name, row in rows.items():
            row.add("kadanoff", program.turn(name, side))
            row.add("mcising", figure(name, peers[name].turn()))
            nanoseconds, square = pods.turn(name)
            if name == "metropolis":
                plain = nanoseconds
                row.add("peapods", figure(name, plain))
            elif name == "swendsen-wang":
                row.add("peapods", nanoseconds - plain)
            elif at_equilibrium:
                row.add("peapods", (nanoseconds - plain) / square)
    for name, row in rows.items():
        hold(f"mcising {name} at L = {side}", peers[name].energies, reference)
        if at_equilibrium:
            hold(f"peapods {name} at L = {side}", pods.energies[name], reference)
    if not at_equilibrium:
        # The same side and moves, where thirty sweeps are enough: after ten, what is left of the start is ten standard errors of so large a lattice.
        for name in rows:
            weak = Peapods(side, WEAK)
            weak.sample(name, 30)
            hold(f"peapods {name} at L = {side} and K = {WEAK}", [weak.energy()], program.exact(side, WEAK))
    for row in rows.values():
        row.show(as_json)
    return list(rows.values())


def table_of_tempering(program, as_json):
    """Sixteen couplings around the critical one, an exchange after every sweep."""
    side, count = 64, 16
    couplings = [CRITICAL + 0.002 * (place - 7.5) for place in range(count)]
    # Both want ascending temperatures.
    ladder = sorted((1 / coupling, coupling) for coupling in couplings)
    temperatures = [temperature for temperature, _ in ladder]
    references = [program.exact(side, coupling) for _, coupling in ladder]
    row = Row("tempering", side)
    pods = peapods.Ising((side, side), temperatures=numpy.array(temperatures))
    pods.sample(60, warmup_ratio=0.0, sequential=True, pt_interval=1, cluster_update_interval=1, cluster_mode="sw")
    series = [[] for _ in ladder]
    for turn in range(2):
        row.add("kadanoff", program.turn("tempering", side))
        # mcising starts hot every time: its first sweeps are timed like the others, and not measured.
        ahead, measured, every = 3000, 3000, 30
        began = time.perf_counter()
        results, _ = mcising._core.run_parallel_tempering(
            side, 1.0, 0.0, 0.0, 0.0, 14103831 + 100 * turn, "metropolis", "square", temperatures, ahead, measured, every, 1
        )
        row.add("mcising", count * side**2 * (ahead + measured) / (1e9 * (time.perf_counter() - began)))
        for result, (temperature, coupling), reference in zip(results, ladder, references):
            hold(f"mcising tempering at K = {coupling:.4f}", result["energies"], reference)
        for _ in range(10):
            began = time.perf_counter()
            pods.sample(60, warmup_ratio=0.0, sequential=True, pt_interval=1)
            row.add("peapods", count * side**2 * 60 / (1e9 * (time.perf_counter() - began)))
            for energies, energy in zip(series, pods.energies_avg):
                energies.append(-float(energy))
    for energies, (_, coupling), reference in zip(series, ladder, references):
        hold(f"peapods tempering at K = {coupling:.4f}", energies, reference)
    row.size = f"{side}, {count} couplings"
    row.show(as_json)
    return row


def main():
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    program = Program(arguments[0])
    try:
        sides = [int(argument) for argument in arguments[1:] if argument != "--json"] or SIDES
    except ValueError:
        sys.exit("scripts/peers: write sides such as 64 256, and --json if you want it")
    began = time.monotonic()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("mcising", "peapods"))
    say(f"{versions}; one core of {platform.processor() or platform.machine()}; medians of {TURNS} turns at K = {CRITICAL:.6f}; every energy agrees with the exact one")
    say(f"{'name':<14} {'size':>16} {'unit':>16} {'kadanoff':>9} {'mcising':>9} {'ratio':>7} {'peapods':>9} {'ratio':>7}")
    configurations = program.configurations(sides)
    rows = [row for side in sides for row in table_of_side(program, side, configurations[side], as_json)]
    table_of_tempering(program, as_json)
    for name, bar in BARS.items():
        found = [row.ratio("mcising") for row in rows if row.name == name]
        if found:
            reached = "at every side" if min(found) >= bar else "not at every side"
            say(f"{name}: {min(found):.0f} to {max(found):.0f} times mcising; {bar} times or more {reached}")
    say(f"{program.instruction_set} on this machine; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
