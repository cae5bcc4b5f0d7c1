/**
 * Keeps what is asked of a GPU in the order in which it was asked. All but `while` loops is enqueued at once; while one of
 * those waits for its condition, what comes later waits behind it.
 */
export class Order {
  private tail: Promise<void> | null = null;

  /** Nothing waits: work that is given now starts before `then` returns. */
  get idle(): boolean {
    return this.tail === null;
  }

  /** Work that gives a promise is waited for by all that comes later. `failed` hears why it did not end. */
  then(work: () => void | Promise<void>, failed: (reason: unknown) => void): void {
    const next = this.tail ? this.tail.then(work) : work();
    if (!next) return;
    const tail = next.catch(failed).finally(() => {
      if (this.tail === tail) this.tail = null;
    });
    this.tail = tail;
  }
}
