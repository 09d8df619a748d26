/**
 * Pre-copy on a kernel that tracks dirty pages. Runs inside the virtual machine (inside.ts); kernel.test.ts reports each case as a test of
 * its own. In this order: later ones find the containers as earlier ones left them.
 */
import type { Lab } from '@cmt/lab';
import { driverCases } from './driver-cases.ts';
import { fleetCases } from './fleet-cases.ts';
import type { Moved } from './moved.ts';
import type { Forecast, PreCopied } from './pre-copied.ts';

/** The containers of the cases. */
export class Site {
  calm!: PreCopied;
  wild!: PreCopied;
  #moved: Moved | undefined;

  /** @param machine the virtual machine itself, as the one host of the driver's cases */
  constructor(readonly machine: Lab) {}

  get moved(): Moved {
    if (this.#moved === undefined) throw new Error('there is no lab: it did not come up');
    return this.#moved;
  }

  set moved(moved: Moved) {
    this.#moved = moved;
  }

  /** Of moves by the driver alone, and by `cmt migrate`. */
  get forecasts(): Readonly<Record<string, readonly Forecast[]>> {
    return { 'the driver': this.calm.forecasts, 'cmt migrate': this.#moved?.forecasts ?? [] };
  }
}

export interface Case {
  readonly name: string;
  readonly run: (site: Site) => Promise<void>;
}

export const cases: readonly Case[] = [...driverCases, ...fleetCases];
