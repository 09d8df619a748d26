/** Keeps a flow of bytes at a rate: tells how long to wait before the next piece. */

/** Milliseconds that a flow which fell behind may catch up. */
const BURST_MS = 20;
/** Pieces per second at a low rate, so that the flow is even. */
const PIECES_PER_SECOND = 50;
const SMALLEST_PIECE = 16 * 1024;

export class Pacer {
  /** Bytes per second; null: as fast as it goes. May be changed at any time. */
  rate: number | null;
  #due = 0;

  constructor(rate: number | null) {
    this.rate = rate;
  }

  /** How many bytes to hand over at once. */
  piece(most: number): number {
    if (this.rate === null) return most;
    return Math.min(most, Math.max(SMALLEST_PIECE, Math.floor(this.rate / PIECES_PER_SECOND)));
  }

  /** Counts a piece that is about to leave. @returns milliseconds to wait before it does */
  delay(bytes: number, now: number): number {
    if (this.rate === null) return 0;
    const due = Math.max(this.#due, now - BURST_MS);
    this.#due = due + (bytes / this.rate) * 1000;
    return Math.max(0, due - now);
  }
}
