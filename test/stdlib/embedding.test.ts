/** Tables read by indices, with every option, beside PyTorch: values, gradients, keys. */
import { liveTests, type Input, type LiveCase } from '../support/live.ts';

const IDS: Input = { i32: [1, 4, 1, 0, 5, 1], shape: [2, 3] };
const LIST: Input = { i32: [1, 4, 1, 0, 5, 1, 2], shape: [7] };
const OFFSETS: Input = { i32: [0, 2, 2, 5], shape: [4] };

const table = (block: string, options: string, args = 'i', inputs: LiveCase['inputs'] = { i: IDS }): LiveCase => ({
  layer: [
    `${block}(6, 4${options})`,
    `nn.${block}(6, 4${options.replaceAll(': ', '=').replaceAll('true', 'True').replaceAll('none', 'None')})`,
  ],
  net: `layer(${args})`,
  torch: `layer(${args.replaceAll(': ', '=').replaceAll('none', 'None')})`,
  inputs,
});
const parts = { i: LIST, o: OFFSETS };
const weighted = { ...parts, s: [7] };
// PyTorch shortens the table itself: the gradients that it then gives are those of the shortened rows, as ours are.
liveTests({
  plain: table('Embedding', ''),
  padding: table('Embedding', ', padding_idx: -2'),
  'shortened rows': table('Embedding', ', max_norm: 0.9'),
  'shortened rows, another norm': table('Embedding', ', max_norm: 1.2, norm_type: 1.0, padding_idx: 0'),
  'by frequency': table('Embedding', ', scale_grad_by_freq: true'),
  'bags: mean': table('EmbeddingBag', ', padding_idx: 1'),
  // PyTorch looks up the frequency of another row here (it takes the i-th use for the i-th row) unless every row is read once.
  'bags: by frequency': table('EmbeddingBag', ', scale_grad_by_freq: true', 'i', {
    i: { i32: [5, 0, 3, 1], shape: [2, 2] },
  }),
  'bags: shortened, weighted': table('EmbeddingBag', ', mode: "sum", max_norm: 0.9', 'i, none, s', {
    i: IDS,
    s: [2, 3],
  }),
  'bags: max': table('EmbeddingBag', ', mode: "max", padding_idx: -5'),
  'parts: mean, one is empty': table('EmbeddingBag', '', 'i, o', parts),
  'parts: mean with padding': table('EmbeddingBag', ', padding_idx: 1', 'i, o', parts),
  'parts: max': table('EmbeddingBag', ', mode: "max"', 'i, o', parts),
  'parts: sum, weighted': table('EmbeddingBag', ', mode: "sum", padding_idx: 5', 'i, o, s', weighted),
  'parts: the end given': table('EmbeddingBag', ', mode: "sum", include_last_offset: true', 'i, o', {
    i: LIST,
    o: { i32: [0, 3, 3, 7], shape: [4] },
  }),
});
