/** A container that goes from host to host over ssh, on the word of a laptop beside them. */
import { labScript } from '@cmt/lab';
import { bundleOf } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { startLaptop, until, type Answer, type Laptop } from './agentless.ts';
import { readTicks } from './ticks.ts';
import { startWorkload } from './workloads.ts';

export interface Asked {
  readonly user?: string;
  readonly flags?: readonly string[];
  readonly agent?: string;
}

export class Traveller {
  readonly id = 'web';
  readonly bundle = bundleOf('web');
  /** Where it is; `there` is the other host. */
  here = 'host1';
  #count = 0;

  private constructor(
    readonly laptop: Laptop,
    readonly witness: Observer<CopiesReport>,
  ) {}

  static async start(what: string): Promise<Traveller> {
    const laptop = await startLaptop(what);
    await startWorkload(laptop.lab, 'host1', { id: 'web', program: 'counter', net: { kind: 'host' } });
    return new Traveller(laptop, await startWitness(laptop.lab, 'web'));
  }

  async stop(): Promise<void> {
    this.witness.kill();
    await this.laptop.stop();
  }

  get there(): string {
    return this.here === 'host1' ? 'host2' : 'host1';
  }

  newId(): string {
    this.#count += 1;
    return `a${process.pid}-${this.#count}`;
  }

  async onHost(host: string, script: string): Promise<string> {
    return (await labScript(this.laptop.lab, host, script, { timeoutMs: 20_000 })).trim();
  }

  /** Asks for a move to the other host. */
  migrate(name: string, { user, flags = [], agent }: Asked = {}): Promise<Answer> {
    const { laptop, here, there, bundle } = this;
    const ends = ['--src', laptop.at(here, bundle, user), '--dst', laptop.at(there, undefined, user)];
    return laptop.cmt(['migrate', '--id', name, ...ends, ...flags], agent);
  }

  /** How often it was seen to run on a host. */
  async ticksOn(host: string): Promise<number> {
    return (await readTicks(this.laptop.lab, host, this.id)).length;
  }

  /** It goes on ticking on that host. */
  async expectRunsOn(host: string): Promise<void> {
    const before = await this.ticksOn(host);
    await until(async () => (await this.ticksOn(host)) > before, 60_000);
  }

  phaseOn(host: string, migration: string): Promise<string> {
    return this.onHost(host, `jq -r .phase /var/lib/cmt/journal/${migration}.json 2>/dev/null || echo none`);
  }

  /** Nothing is open on a host any more, and no image is left. */
  async isTidy(host: string): Promise<boolean> {
    const open = `cat /var/lib/cmt/journal/*.json | jq -r 'select(.closed != true) | .phase'`;
    const images = 'find /run/cmt/images -mindepth 1 2>/dev/null || :';
    return (await this.onHost(host, open)) === '' && (await this.onHost(host, images)) === '';
  }
}
