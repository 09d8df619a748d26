/** Two lab hosts with cmt on them, and the one container that every way moves in turn. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '@cmt/host';
import { listDaemons } from '@cmt/lab';
import type { Fleet } from '../support/fleet.ts';
import {
  checksum,
  idleP99,
  longestStandstill,
  startClients,
  startLoaded,
  type Clients,
  type Held,
  type Load,
} from './container.ts';
import { REDIS_ID } from '../../apps/lab/src/demo/redis-container.ts';
import type { Engine } from './engine.ts';
import { patient } from '../support/patience.ts';
import type { Mode, Moved } from './modes.ts';

const [HOST1, HOST2] = ['host1', 'host2'] as const;
/** Undisturbed before and after each move: long enough for a retransmission that comes late. */
const CALM_MS = 1500;
const ANSWER_LIMIT_MS = patient(60_000);
/** Larger ones are looked at only at the end of a point: that takes a second a gibibyte. */
const CHECKED_EACH_TIME_MIB = 64;

export interface Site {
  readonly fleet: Fleet;
  readonly engine: Engine;
  readonly load: Load;
}

/** One move, as container, client and wire saw it. A move that lost something is infinite. */
export interface Measured extends Moved {
  readonly blackoutMs: number;
  readonly gapMs: number;
  /** That left the source for the target during the move, everything included. */
  readonly wireBytes: number;
  readonly lost: string | null;
}

/** Where the container is, with what, and who talks to it. */
export class Stage {
  #at: typeof HOST1 | typeof HOST2 = HOST1;
  #sum = '';
  #clients: Clients | null = null;
  idleMs = 0;

  constructor(private readonly site: Site) {}

  async set(): Promise<void> {
    this.#clients?.stop();
    this.#at = HOST1;
    this.#sum = await startLoaded(this.#held, HOST1, this.site.load);
    this.idleMs = await idleP99(this.#held, HOST1);
    this.#clients = await startClients(this.#held.lab, this.site.load);
  }

  /** Makes one move. What it lost is named, and everything is set anew. */
  async measure(mode: Mode): Promise<Measured> {
    await pause(CALM_MS);
    const to = mode.stays ? this.#at : this.#at === HOST1 ? HOST2 : HOST1;
    const from = this.#at;
    const begun = Date.now();
    try {
      await mode.prepare?.(this.site, from, to);
      const sentBefore = await sentBy(this.site, from);
      const moved = await mode.move(this.site, from, to);
      const wireBytes = (await sentBy(this.site, from)) - sentBefore;
      this.#at = to;
      await this.#answeredAgain();
      await pause(CALM_MS);
      const standstill = await longestStandstill(this.#held, to, begun);
      const { gapMs, lost } = await this.#clientSaw(begun);
      const result = { ...moved, wireBytes, lost };
      if (lost === null) return { ...result, blackoutMs: Math.max(0, standstill - this.idleMs), gapMs };
      await this.set();
      return { ...result, blackoutMs: Infinity, gapMs: Infinity };
    } catch (error) {
      await this.set();
      const lost = error instanceof Error ? error.message : String(error);
      const nothing = { imageBytes: null, criuMs: null, ownMs: null, drainMs: null, wireBytes: 0 };
      return { ...nothing, blackoutMs: Infinity, gapMs: Infinity, lost };
    }
  }

  /** A client whose timer has backed off hears of it late: its gap is over only then. */
  async #answeredAgain(): Promise<void> {
    const before = (await this.#clients?.probe.report())?.operations ?? 0;
    const limit = Date.now() + ANSWER_LIMIT_MS;
    for (;;) {
      const report = await this.#clients?.probe.report();
      if (report === undefined || report.connectionsLost > 0 || report.operations > before) return;
      if (Date.now() > limit) throw new Error('the client has no answer for a minute');
      await pause(20);
    }
  }

  async #clientSaw(begun: number): Promise<{ gapMs: number; lost: string | null }> {
    const report = await this.#clients?.probe.report();
    if (report === undefined) throw new Error('there is no client');
    const { gaps, connectionsLost, lostBecause, wrongValues } = report;
    const gapMs = Math.max(0, ...gaps.flatMap(({ at, ms }) => (at + ms >= begun ? [ms] : [])));
    if (connectionsLost > 0) return { gapMs, lost: `the connection: ${lostBecause ?? ''}` };
    if (wrongValues > 0) return { gapMs, lost: `${wrongValues} values` };
    const { load, fleet } = this.site;
    const isIntact = load.sizeMiB > CHECKED_EACH_TIME_MIB || (await checksum(fleet.lab, load)) === this.#sum;
    return { gapMs, lost: isIntact ? null : 'data in memory' };
  }

  /** @returns whether the data is what was put in; ends clients and container */
  async strike(): Promise<boolean> {
    this.#clients?.stop();
    const { lab, engine } = this.#held;
    const isIntact = (await checksum(lab, this.site.load)) === this.#sum;
    for (const { name } of lab.hosts) await engine.remove(lab, name, REDIS_ID);
    return isIntact;
  }

  get #held(): Held {
    return { lab: this.site.fleet.lab, engine: this.site.engine };
  }
}

/** Bytes that a host has sent into the fabric so far. */
async function sentBy({ fleet: { lab } }: Site, host: string): Promise<number> {
  const argv = ['-n', lab.fabric.netns, '-s', '-j', 'link', 'show', 'dev', `to-${host}`];
  const { stdout } = await run('ip', argv, { timeoutMs: 10_000 });
  const [link] = JSON.parse(stdout) as { stats64: { rx: { bytes: number } } }[];
  return link?.stats64.rx.bytes ?? 0;
}

/** The most memory that each process of cmt on the hosts ever held, in MiB (proc_pid_status(5), VmHWM). */
export async function peakMemory({ lab }: Fleet): Promise<Record<string, number>> {
  const all = await Promise.all(lab.hosts.map(({ name }) => listDaemons(lab, name)));
  const peaks = all.flat().map(async ({ name, host, process: { pid } }) => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    return [`${name} of ${host}`, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024] as const;
  });
  return Object.fromEntries(await Promise.all(peaks));
}
