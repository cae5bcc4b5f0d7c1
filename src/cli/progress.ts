/** Training progress: a live bar on a terminal, one plain line per epoch elsewhere. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
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
  /** A group of one: only groups can print lines above the bar. */
  private readonly group: MultiBar;
  private readonly bar: SingleBar;
  private readonly epochs: number;
  private readonly total: number;
  private readonly started = performance.now();
  private first: number | null = null;
  private samples = 0;
  private stopped = false;

  constructor(epochs: number, steps: number, out: NodeJS.WriteStream) {
    this.epochs = epochs;
    this.total = steps;
    this.group = new MultiBar(
      {
        format: `${pc.cyan('{bar}')} epoch {epoch}/${epochs}  loss {loss}  {rate} samples/s  {left} left`,
        stream: out,
        hideCursor: true,
        fps: 10,
        clearOnComplete: true,
        linewrap: false,
        barsize: 24,
        // Signals are ours: a run that is stopped saves itself first.
        gracefulExit: false,
      },
      Presets.shades_classic,
    );
    this.bar = this.group.create(steps, 0, { epoch: 1, loss: '--', rate: '--', left: '--' });
    // However the process ends: the terminal gets its cursor back.
    process.once('exit', this.leave);
  }

  private readonly leave = (): void => this.stop();

  step(r: StepReport): void {
    this.first ??= r.step;
    this.samples += r.samples;
    const seconds = (performance.now() - this.started) / 1000;
    this.bar.update(r.step, {
      epoch: r.epoch,
      loss: r.loss.toFixed(4),
      rate: rate(this.samples / seconds),
      left: duration(((this.total - r.step) * seconds) / (r.step - this.first + 1)),
    });
  }

  epoch(r: EpochReport): void {
    this.group.log(`${epochLine(r, this.epochs)}\n`);
    this.group.update();
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    process.off('exit', this.leave);
    this.group.stop();
  }
}
