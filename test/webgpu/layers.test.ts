/**
 * Layers of std/nn on WebGPU against PyTorch: outputs in both modes, running statistics, gradients. One or two of each kind;
 * activations, losses and padding are functions, all of which test/gpu/functions.test.ts has. NETWRIGHT_ALL_LAYERS=1 takes every
 * case there is: software adapters need a quarter of an hour for their shaders.
 */
import { checkLayer, LAYER_CASES } from '../support/layer-cases.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();

/** As on the cpu. */
const NOISE = 1e-7;

const CHOSEN: ReadonlySet<string> = new Set(
  (
    'linear bilinear conv_options conv1d_options conv3d_options conv2d_reflect convt1d_options convt2d_options convt3d ' +
    'maxpool_options avgpool_options adaptive adaptive_max2d lppool maxpool3d batchnorm1d batchnorm2d batchnorm2d_average ' +
    'layernorm_matrix groupnorm rmsnorm lrn instancenorm2d_running embedding_padding bag_mean bag_sum bag_max prelu ' +
    'attention attention_masked rnn_options lstm rnn_packed lstm_packed grucell lstmcell lstm_projected decoder_layer ' +
    'rotary upsample_bilinear upsample_bicubic unfold fold pixel_shuffle circularpad2d cross_entropy_weighted ctc'
  ).split(' '),
);

const all = process.env['NETWRIGHT_ALL_LAYERS'] === '1';
for (const c of LAYER_CASES)
  if (all || CHOSEN.has(c.name)) run(`${c.name}: ${c.net}`, (t) => checkLayer(t, c, 'webgpu', NOISE));
