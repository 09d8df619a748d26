/** The links of the simulated world that are cut. */
import type { Node } from './world.ts';

/** Which node does not hear which other. */
export class CutLinks {
  readonly #cuts = new Map<string, number>();

  cut(from: Node, to: Node, change: 1 | -1): void {
    const key = `${from} ${to}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + change);
  }

  isCut = (from: Node, to: Node): boolean => (this.#cuts.get(`${from} ${to}`) ?? 0) > 0;
  isCutEitherWay = (a: Node, b: Node): boolean => this.isCut(a, b) || this.isCut(b, a);
}
