/** AdaptiveLogSoftmaxWithLoss beside PyTorch: all its methods, for targets in the head and in every cluster. */
import { liveTests, type LiveCase } from '../support/live.ts';

const classifier = (options: string): LiveCase => ({
  layer: [
    `AdaptiveLogSoftmaxWithLoss(16, 12, [3, 7]${options})`,
    `nn.AdaptiveLogSoftmaxWithLoss(16, 12, [3, 7]${options.replaceAll(': ', '=').replaceAll('true', 'True')})`,
  ],
  net: '(y, l) = layer(x, t); (y, l, layer.log_prob(x), layer.predict(x))',
  torch: '(*layer(x, t), layer.log_prob(x), layer.predict(x))',
  inputs: { x: [6, 16], t: { i32: [0, 11, 2, 3, 6, 7], shape: [6] } },
});

liveTests({ plain: classifier(''), options: classifier(', div_value: 2.0, head_bias: true') });
