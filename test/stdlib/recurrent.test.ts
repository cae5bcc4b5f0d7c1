/** Recurrent layers and cells beside PyTorch over a grid of options: outputs, last states, gradients, keys. */
import { liveTests, type Input, type LiveCase } from '../support/live.ts';

const python = (text: string): string =>
  text.replaceAll(': ', '=').replaceAll('true', 'True').replaceAll('false', 'False');

/** Sequences of given lengths are packed for PyTorch; what it returns is as long as the longest there could be. */
const PACKED = `
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
def packed(layer, x, lengths, *state):
    first = layer.batch_first
    y, last = layer(pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=False), *state)
    return pad_packed_sequence(y, batch_first=first, total_length=x.shape[1 if first else 0])[0], last
`;
const [T, B] = [4, 3];
const LENGTHS: Input = { i32: [2, 4, 1], shape: [B] };

interface Options {
  readonly kind: 'RNN' | 'LSTM' | 'GRU';
  readonly layers: number;
  readonly bidirectional: boolean;
  readonly batch_first?: boolean;
  readonly more?: string;
  readonly proj?: number;
  readonly started?: boolean;
  readonly lengths?: boolean;
  readonly alone?: boolean;
}

function recurrent(o: Options): LiveCase {
  const [I, H] = [3, 4];
  const options = [
    `num_layers: ${o.layers}`,
    `bidirectional: ${o.bidirectional}`,
    `batch_first: ${o.batch_first === true}`,
    ...(o.more === undefined ? [] : [o.more]),
    ...(o.proj === undefined ? [] : [`proj_size: ${o.proj}`]),
  ].join(', ');
  const states = o.layers * (o.bidirectional ? 2 : 1);
  const batch = o.alone ? [] : [B];
  const lstm = o.kind === 'LSTM';
  const state = !o.started ? '' : lstm ? ', (h, c)' : ', h';
  const last = lstm ? '(y, s) = CALL; (p, q) = s; (y, p, q)' : 'CALL';
  return {
    layer: [`${o.kind}(${I}, ${H}, ${options})`, `nn.${o.kind}(${I}, ${H}, ${python(options)})`],
    declarations: ['', PACKED],
    net: last.replace('CALL', `layer(x${state}${o.lengths ? ', lengths: n' : ''})`),
    torch: o.lengths ? `packed(layer, x, n${state})` : `layer(x${state})`,
    inputs: {
      x: o.alone ? [T, I] : o.batch_first ? [B, T, I] : [T, B, I],
      ...(o.started ? { h: [states, ...batch, o.proj ?? H] } : {}),
      ...(o.started && lstm ? { c: [states, ...batch, H] } : {}),
      ...(o.lengths ? { n: LENGTHS } : {}),
    },
  };
}

const GRID = (['RNN', 'LSTM', 'GRU'] as const).flatMap((kind) =>
  [1, 2].flatMap((layers) =>
    [false, true].flatMap((bidirectional) =>
      [false, true].flatMap((lengths) =>
        [false, true].map((started) => ({
          kind,
          layers,
          bidirectional,
          lengths,
          started,
          batch_first: lengths !== started,
        })),
      ),
    ),
  ),
);

const cell = (layer: string, state: string, batch: readonly number[]): LiveCase => ({
  layer: [layer, `nn.${python(layer)}`],
  net: `layer(x${state})`,
  torch: `layer(x${state})`,
  inputs: {
    x: [...batch, 3],
    ...(state.includes('h') ? { h: [...batch, 4] } : {}),
    ...(state.includes('c') ? { c: [...batch, 4] } : {}),
  },
});

liveTests({
  ...Object.fromEntries(GRID.map((o) => [JSON.stringify(o), recurrent(o)])),
  'relu, no bias': recurrent({
    kind: 'RNN',
    layers: 2,
    bidirectional: true,
    more: 'nonlinearity: "relu", bias: false',
  }),
  'gates without bias': recurrent({
    kind: 'GRU',
    layers: 2,
    bidirectional: false,
    more: 'bias: false',
    batch_first: true,
  }),
  projected: recurrent({ kind: 'LSTM', layers: 2, bidirectional: true, proj: 2, started: true, lengths: true }),
  'projected, from zeros': recurrent({ kind: 'LSTM', layers: 1, bidirectional: false, proj: 3, batch_first: true }),
  'one sequence, RNN': recurrent({ kind: 'RNN', layers: 1, bidirectional: true, alone: true }),
  'one sequence, LSTM': recurrent({ kind: 'LSTM', layers: 2, bidirectional: false, alone: true, started: true }),
  'one sequence, GRU': recurrent({
    kind: 'GRU',
    layers: 1,
    bidirectional: false,
    alone: true,
    batch_first: true,
    started: true,
  }),
  // With probability 1 everything is dropped between the layers, in training only.
  'all dropped between layers': {
    ...recurrent({ kind: 'LSTM', layers: 3, bidirectional: true, more: 'dropout: 1.0' }),
    only: 'training',
  },
  'nothing dropped in evaluation': {
    ...recurrent({ kind: 'GRU', layers: 3, bidirectional: true, more: 'dropout: 1.0' }),
    only: 'evaluation',
  },
  'cell: RNN': cell('RNNCell(3, 4, nonlinearity: "relu")', ', h', [2]),
  'cell: RNN from zeros': cell('RNNCell(3, 4)', '', [2]),
  'cell: RNN, one sample': cell('RNNCell(3, 4, bias: false)', ', h', []),
  'cell: LSTM': cell('LSTMCell(3, 4)', ', (h, c)', [2]),
  'cell: LSTM from zeros': cell('LSTMCell(3, 4, bias: false)', '', [2]),
  'cell: LSTM, one sample': cell('LSTMCell(3, 4)', ', (h, c)', []),
  'cell: GRU': cell('GRUCell(3, 4)', ', h', [2]),
  'cell: GRU from zeros': cell('GRUCell(3, 4)', '', [2]),
  'cell: GRU, one sample': cell('GRUCell(3, 4)', ', h', []),
});
