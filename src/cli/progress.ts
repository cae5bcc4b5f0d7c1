/** Training progress: a live bar on a terminal, one plain line per epoch elsewhere. */
import { Presets, SingleBar } from 'cli-progress';
import pc from 'picocolors';

export interface StepReport {
  readonly epoch: number;
  readonly step: number;
  readonly loss: number;
  readonly samples: number;
}

export interface EpochReport {
  readonly epoch: number;
  readonly loss: number;
  readonly metric: { readonly name: string; readonly value: number } | null;
  readonly samplesPerSecond: number;
  readonly seconds: number;
}

export interface Progress {
  step(r: StepReport): void;
  epoch(r: EpochReport): void;
  stop(): void;
}

export function createProgress(epochs: number, steps: number, out: NodeJS.WriteStream): Progress {
  return out.isTTY ? new LiveProgress(epochs, steps, out) : new PlainProgress(epochs, out);
}

const rate = (n: number): string => (n >= 1e4 ? `${(n / 1e3).toFixed(1)}k` : n.toFixed(0));

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--';
  const s = Math.round(seconds);
  return s < 60
    ? `${s}s`
    : s < 3600
      ? `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`
      : `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
}

function epochLine(r: EpochReport, epochs: number): string {
  const metric = r.metric ? `  held-out ${r.metric.name} ${r.metric.value.toFixed(4)}` : '';
  return `epoch ${r.epoch}/${epochs}  loss ${r.loss.toFixed(4)}${metric}  ${rate(r.samplesPerSecond)} samples/s  ${r.seconds.toFixed(1)} s`;
}

class PlainProgress implements Progress {
  private readonly epochs: number;
  private readonly out: NodeJS.WriteStream;
  constructor(epochs: number, out: NodeJS.WriteStream) {
    this.epochs = epochs;
    this.out = out;
  }
  step(): void {}
  epoch(r: EpochReport): void {
    this.out.write(`${epochLine(r, this.epochs)}\n`);
  }
  stop(): void {}
}

class LiveProgress implements Progress {
  private readonly bar: SingleBar;
  private readonly epochs: number;
  private readonly total: number;
  private readonly out: NodeJS.WriteStream;
  private readonly started = performance.now();
  private done = 0;
  private first: number | null = null;
  private samples = 0;

  constructor(epochs: number, steps: number, out: NodeJS.WriteStream) {
    this.epochs = epochs;
    this.total = steps;
    this.out = out;
    this.bar = new SingleBar(
      {
        format: `${pc.cyan('{bar}')} epoch {epoch}/${epochs}  loss {loss}  {rate} samples/s  {left} left`,
        stream: out,
        hideCursor: true,
        fps: 10,
        clearOnComplete: true,
        linewrap: false,
        barsize: 24,
      },
      Presets.shades_classic,
    );
    this.bar.start(steps, 0, { epoch: 1, loss: '--', rate: '--', left: '--' });
  }

  step(r: StepReport): void {
    this.first ??= r.step;
    this.done = r.step;
    this.samples += r.samples;
    const seconds = (performance.now() - this.started) / 1000;
    const steps = this.done - this.first + 1;
    this.bar.update(this.done, {
      epoch: r.epoch,
      loss: r.loss.toFixed(4),
      rate: rate(this.samples / seconds),
      left: duration(((this.total - this.done) * seconds) / steps),
    });
  }

  epoch(r: EpochReport): void {
    // A finished epoch stays on the screen above the bar.
    this.out.write(`\r\x1b[2K${epochLine(r, this.epochs)}\n`);
    this.bar.render();
  }

  stop(): void {
    this.bar.stop();
  }
}
