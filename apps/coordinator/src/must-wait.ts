/** Not refused and not begun: a limit is reached. */
export class MustWait extends Error {
  /** In words, for those who watch. */
  readonly reason: string;
  /** Milliseconds until it is worth another look. */
  readonly ms: number;
  constructor(reason: string, ms: number) {
    super(`it has to wait: ${reason}`);
    this.name = 'MustWait';
    this.reason = reason;
    this.ms = ms;
  }
}
