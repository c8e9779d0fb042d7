% Opens the files of a run directory with GNU Octave and compares them with DIR/record.json and DIR/spins.json: octave-cli tests/octave/check_files.m DIR
% One group at a time: load() cannot read a group that holds texts, such as /submissions. Octave turns the axes of HDF5 around: draw, chain, coupling.
directory = argv(){1};
record = jsondecode(fileread(fullfile(directory, "record.json")), "makeValidName", true);
part = record.sampling;

function one = take(list, index)
  % jsondecode makes an array of structs where all have the same fields, and cells otherwise.
  if iscell(list)
    one = list{index};
  else
    one = list(index);
  end
end

file = load("-hdf5", fullfile(directory, "results.h5"), "sampling");
sampling = file.sampling;
assert(double(sampling.size(:)), part.sizes(:));
assert(sampling.coupling(:), part.couplings(:), -4e-15);
columns = numel(part.couplings);
compared = 0;
for index = 1:numel(part.ensembles)
  ensemble = take(part.ensembles, index);
  row = 1 + floor((index - 1) / columns);
  column = 1 + mod(index - 1, columns);
  for number = 1:numel(ensemble.observables)
    observable = take(ensemble.observables, number);
    % jsondecode rounds in the last digit.
    assert(sampling.(observable.name)(column, row), observable.estimate.mean, -4e-15);
    assert(sampling.([observable.name "_errors"])(column, row), observable.estimate.error, -4e-15);
    compared += 1;
  end
  series = sampling.(sprintf("L%d", ensemble.size));
  for chain = 1:numel(ensemble.chains)
    expected = take(ensemble.chains, chain).energy(:);
    assert(double(series.energy(1:numel(expected), chain, column)), expected);
    compared += numel(expected);
  end
end

% Configurations: eight spins a byte, the first in the lowest bit. Octave writes a dot in the name of a group as an underscore.
spins = jsondecode(fileread(fullfile(directory, "spins.json")), "makeValidName", true);
for name = fieldnames(spins)'
  % load() takes names as patterns.
  file = load("-hdf5", fullfile(directory, "configurations.h5"), strrep(name{1}, "_", "?"));
  packed = double(file.(fieldnames(file){1}).packed);
  expected = spins.(name{1});
  if size(expected, 2) == 1
    expected = expected';
  end
  for configuration = 1:size(expected, 1)
    up = mod(floor(packed(:, configuration)' ./ (2 .^ (0:7)')), 2)(:)';
    assert(up(1:size(expected, 2)), expected(configuration, :));
    compared += 1;
  end
end

% Weights of the first layer: hidden units along the first axis here.
file = load("-hdf5", fullfile(directory, "network.h5"), "training");
layer = take(record.training.layers, 1);
assert(double(file.training.layer1.weights(:)), layer.weights(:), -1e-7);
printf("as it should be: %d numbers\n", compared);
