/** Bytes of a tensor in a GPU's memory. */
import { DeviceError, UsageError } from '../errors.ts';
import type { Storage } from '../storage.ts';
import type { WebGpuDevice } from './device.ts';
import type { Region } from './memory.ts';

/** A tensor's own bytes, or a result's. Nothing else writes them, so what the host has read stays true. */
export class GpuStorage implements Storage {
  private readonly device: WebGpuDevice;
  /** null once the memory was needed for something else: then the host has the bytes. */
  private region: Region | null;
  /** From the start of the region. */
  private readonly start: number;
  private readonly length: number;
  /** A copy that is known to be equal. */
  private host: Uint8Array | null;
  private writes = 0;
  private given = false;

  /** `host`: what the region holds, where that is known. */
  constructor(device: WebGpuDevice, region: Region, start: number, length: number, host: Uint8Array | null = null) {
    this.device = device;
    this.region = region;
    this.start = start;
    this.length = length;
    this.host = host;
  }

  get visible(): boolean {
    return this.host !== null;
  }

  /** Leaves the memory to others, where the host has the bytes. */
  retire(): boolean {
    if (!this.host) return false;
    this.region = null;
    return true;
  }

  /** Leaves the memory to others for good: too much has come after it that nobody looked at. */
  giveUp(): void {
    if (!this.retire()) this.given = true;
    this.region = null;
  }

  private check(): void {
    if (!this.given || this.host) return;
    throw new UsageError(
      `a result on ${this.device.name} was neither read nor used while many calls made others, and its memory is theirs now: read() it, or pass it on, before a sixteenth of the device's memory has been filled after it`,
    );
  }

  read(start: number, length: number): Uint8Array {
    this.check();
    if (!this.host) throw notVisible(this.device);
    return this.host.subarray(start, start + length);
  }

  async fetch(start: number, length: number): Promise<Uint8Array> {
    if (this.host || !this.region) return this.read(start, length);
    const { writes, region } = this;
    const bytes = await this.device.fetch(region.at + this.start + start, length);
    if (length === this.length && writes === this.writes) {
      this.host = bytes;
      this.device.backlog.read(region);
    }
    return bytes;
  }

  write(start: number, bytes: Uint8Array): void {
    this.check();
    this.writes++;
    this.host?.set(bytes, start);
    if (this.region) this.device.write(this.region.at + this.start + start, bytes);
  }

  address(): number | null {
    this.check();
    if (this.region) this.device.backlog.use(this.region);
    return this.region && this.region.at + this.start;
  }

  /** Where it lies in the memory of that device. */
  placeOn(device: WebGpuDevice): number | null {
    return device === this.device ? this.address() : null;
  }

  copier(source: Storage): (() => void) | null {
    const copy = copyWithin(this.device, source, this.address(), this.length);
    return (
      copy &&
      ((): void => {
        this.writes++;
        this.host = null;
        copy();
      })
    );
  }
}

/** Copies move whole words: null where that would touch a neighbour. */
function copyWithin(device: WebGpuDevice, source: Storage, at: number | null, bytes: number): (() => void) | null {
  const held = source instanceof GpuStorage || source instanceof SegmentStorage;
  const from = held ? source.placeOn(device) : null;
  if (from === null || at === null || (from | at | bytes) % 4 !== 0) return null;
  return () => device.perform([{ to: null, at, from, bytes }], () => undefined);
}

/** A range of a segment: programs write it. */
export class SegmentStorage implements Storage {
  readonly visible = false;
  private readonly device: WebGpuDevice;
  private readonly place: () => number;
  private readonly length: number;

  constructor(device: WebGpuDevice, place: () => number, length: number) {
    this.device = device;
    this.place = place;
    this.length = length;
  }

  get at(): number {
    return this.place();
  }

  read(): never {
    throw notVisible(this.device);
  }

  fetch(start: number, length: number): Promise<Uint8Array> {
    return this.device.fetch(this.at + start, length);
  }

  write(start: number, bytes: Uint8Array): void {
    if (start + bytes.length > this.length) throw new RangeError('write past the end of a parameter');
    this.device.write(this.at + start, bytes);
  }

  /** A call that is given a parameter copies it: the program may update the arena while it reads its argument. */
  address(): null {
    return null;
  }

  placeOn(device: WebGpuDevice): number | null {
    return device === this.device ? this.at : null;
  }

  copier(source: Storage): (() => void) | null {
    return copyWithin(this.device, source, this.at, this.length);
  }
}

const notVisible = (device: WebGpuDevice): DeviceError =>
  new DeviceError(
    `the tensor is on ${device.name}: its values can be awaited (read(), or to('cpu')), not read at once`,
  );
