/** Measures of quality beside what PyTorch's functions give for them. */
import { liveTests, type Input, type LiveCase } from '../support/live.ts';

const TARGET: Input = { i32: [2, 0, 1, 3, 3, 0], shape: [6] };
const MANY: Input = { i32: [2, 0, 1, 3, 3, 0], shape: [2, 3] };
const TRUE: Input = { given: [1, 0, 0, 1, 1, 0], shape: [6] };
const SCORES = `
def confusion(x, t): return torch.bincount((t * x.shape[1] + x.argmax(1)).flatten(), minlength=x.shape[1] ** 2).reshape(x.shape[1], -1)
def share(a, b): return torch.where(b > 0, a / b.clamp(min=1), 0.)
def scores(hits, taken, actual): return share(hits, taken), share(hits, actual), share(2 * hits, taken + actual)
`;
const measure = (net: string, torch: string, inputs: LiveCase['inputs']): LiveCase => ({
  net,
  torch,
  inputs,
  declarations: ['', SCORES],
});
const rows = { x: [6, 4], t: TARGET };
const images = { x: [2, 4, 3], t: MANY };

liveTests({
  accuracy: measure('accuracy(x, t)', '(x.argmax(1) == t).double().mean()', rows),
  'accuracy over positions': measure('accuracy(x, t)', '(x.argmax(1) == t).double().mean()', images),
  'top k': measure(
    '(top_k_accuracy(x, t, k: 1), top_k_accuracy(x, t, k: 2), top_k_accuracy(x, t, k: 4))',
    '[(x.topk(k, 1).indices == t[:, None]).any(1).double().mean() for k in (1, 2, 4)]',
    rows,
  ),
  'top k over positions': measure(
    'top_k_accuracy(x, t, k: 2)',
    '(x.topk(2, 1).indices == t[:, None]).any(1).double().mean()',
    images,
  ),
  perplexity: measure('perplexity(cross_entropy(x, t))', 'F.cross_entropy(x, t).exp()', rows),
  'confusion matrix': measure('confusion_matrix(x, t)', 'confusion(x, t)', rows),
  'confusion matrix over positions': measure('confusion_matrix(x, t)', 'confusion(x, t)', images),
  'precision, recall and F1 of classes': measure(
    'class_precision_recall_f1(confusion_matrix(x, t))',
    '(lambda m: scores(m.diagonal(), m.sum(0), m.sum(1)))(confusion(x, t).double())',
    rows,
  ),
  'precision, recall and F1': measure(
    'precision_recall_f1(x, t)',
    '(lambda p: scores((p * t).sum(), p.sum(), t.sum()))((x > 0).double())',
    { x: [6], t: TRUE },
  ),
  'precision, recall and F1 of nothing': measure(
    'precision_recall_f1(-abs(x), t)',
    '(lambda p: scores((p * t).sum(), p.sum(), t.sum()))((-x.abs() > 0).double())',
    { x: [6], t: TRUE },
  ),
  'two classes': measure('binary_accuracy(x, t)', '((x > 0) == (t > 0.5)).double().mean()', { x: [6], t: TRUE }),
  'coefficient of determination': measure(
    'r2_score(x, y)',
    '1 - (x - y).square().sum() / (y - y.mean()).square().sum()',
    {
      x: [6],
      y: [6],
    },
  ),
});
