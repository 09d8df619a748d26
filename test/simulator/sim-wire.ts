/** The data connection of the simulated world: the receiver in a target's worker, and the links of a source's worker to it. */
import { join } from 'node:path';
import { CmtError } from '@cmt/contracts';
import type { Expectation, Receiver, Session } from '../../libs/host/src/transports/receiver.ts';
import type { Link, Links, Verdict } from '../../libs/host/src/transports/transport.ts';
import { BUNDLE, type SimHost } from './sim-host.ts';
import type { SimProcess } from './sim-process.ts';
import type { HostNode } from './world.ts';

/** Milliseconds: how long a silent connection counts as open, and a source that is gone may come back. */
const SILENCE_MS = 5_000;
const GRACE_MS = 3_000;
const CONNECT_MS = 15;

interface Waiter {
  readonly resolve: (came: { lastByteAt: number }) => void;
  readonly reject: (error: Error) => void;
}

class SimSession implements Session {
  readonly expectation: Expectation;
  readonly #host: SimHost;
  readonly #who: SimProcess;
  readonly #waiters = new Set<Waiter>();
  readonly armedWaiters = new Set<() => void>();
  armed = false;
  verified = false;
  #went = false;
  #over: Error | null = null;
  #connections = 0;

  constructor(expectation: Expectation, host: SimHost, who: SimProcess) {
    this.expectation = expectation;
    this.#host = host;
    this.#who = who;
  }

  arm(): void {
    this.armed = true;
    for (const wake of [...this.armedWaiters]) wake();
  }

  complete(signal: AbortSignal): Promise<{ lastByteAt: number }> {
    return this.#who.effect(
      'session wait',
      () =>
        new Promise<{ lastByteAt: number }>((resolve, reject) => {
          const waiter: Waiter = { resolve, reject };
          this.#waiters.add(waiter);
          const abort = () => this.#reject(signal.reason as Error);
          if (signal.aborted) abort();
          else signal.addEventListener('abort', abort, { once: true });
          this.#settle();
        }),
      { signal },
    );
  }

  /** Ended by the target: its connections are closed. */
  get isOver(): boolean {
    return this.#over !== null;
  }

  pages = (): Promise<never> => new Promise(() => undefined);

  connected(): void {
    this.#connections += 1;
  }

  disconnected(): void {
    const connections = this.#connections;
    this.#who.after(GRACE_MS, () => {
      if (this.#connections === connections && !this.#went)
        this.#reject(broken('the source did not come back'));
    });
  }

  abandon(reason: string): void {
    this.#reject(broken(reason));
  }

  go(): void {
    if (!this.verified) throw broken('go before the images were complete');
    this.#went = true;
    this.#host.toldComplete.add(this.expectation.images);
    this.#settle();
  }

  begin(): void {
    this.verified = false;
    this.#went = false;
  }

  end(): void {
    this.#over = new CmtError('SESSION_LOST', { host: 'target', migration: this.expectation.migration });
    this.#settle();
  }

  #settle(): void {
    if (this.#over !== null) this.#reject(this.#over);
    else if (this.#went)
      for (const waiter of [...this.#waiters]) {
        this.#waiters.delete(waiter);
        waiter.resolve({ lastByteAt: this.#who.world.time.now });
      }
  }

  #reject(error: Error): void {
    if (this.#waiters.size > 0) this.armed = false;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    this.#waiters.clear();
  }
}

/** The sessions of one worker process: gone with it. */
export class SimReceiver implements Receiver {
  readonly who: SimProcess;
  readonly host: SimHost;
  readonly #sessions = new Map<string, SimSession>();

  constructor(host: SimHost, who: SimProcess) {
    this.host = host;
    this.who = who;
  }

  listen = () => Promise.resolve();
  answerWith = () => Promise.resolve();
  close = () => Promise.resolve();

  expect(expectation: Expectation): Promise<Session> {
    return this.who.effect('receiver expect', () => {
      this.#sessions.get(expectation.migration)?.end();
      const session = new SimSession(expectation, this.host, this.who);
      this.#sessions.set(expectation.migration, session);
      return session;
    });
  }

  session(migration: string, epoch: number): SimSession | null {
    const session = this.#sessions.get(migration);
    return session?.expectation.epoch === epoch ? session : null;
  }

  forget(migration: string): Promise<void> {
    return this.who.effect('receiver forget', () => {
      this.#sessions.get(migration)?.end();
      this.#sessions.delete(migration);
    });
  }
}

/** The links of one worker process. */
export function linksOf(host: SimHost, who: SimProcess): Links {
  const open = new Map<string, { epoch: number; link: SimLink }>();
  return {
    async get(migration, epoch, route, signal) {
      const known = open.get(migration);
      if (known?.epoch === epoch && known.link.isOpen) return known.link;
      known?.link.cut();
      const link = await SimLink.open({ host, who, peer: route.peer as HostNode, migration, epoch }, signal);
      open.set(migration, { epoch, link });
      return link;
    },
    withdraw: (migration, epoch, route, signal) =>
      who.effect('link withdraw', () => askPeer(who, route.peer as HostNode, { migration, epoch }), {
        ms: CONNECT_MS,
        signal,
      }),
    tune: () => undefined,
    peek: (migration) => open.get(migration)?.link ?? null,
    drop: (migration) =>
      who.effect('link drop', () => {
        open.get(migration)?.link.cut();
        open.delete(migration);
      }),
    closeAll: () => Promise.resolve(),
  };
}

/** The answer of the other host's worker: when it is there, is not stopped, and both hear each other. */
function askPeer(
  who: SimProcess,
  peer: HostNode,
  { migration, epoch }: { migration: string; epoch: number },
): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const there = who.world.worker(peer);
    const lost = () => reject(broken('the other host does not answer'));
    if (there?.process.isAlive !== true || who.world.links.isCutEitherWay(who.node, peer)) return lost();
    there.process.onDeath(lost);
    who.world.time.after(SILENCE_MS, lost);
    there.process.deliver(() => void there.withdraw(migration, epoch).then(resolve, reject));
  });
}

interface Ends {
  readonly host: SimHost;
  readonly who: SimProcess;
  readonly peer: HostNode;
  readonly migration: string;
  readonly epoch: number;
}

class SimLink implements Link {
  readonly clockOffsetMs = 0;
  readonly way = 'direct';
  readonly uncarried = null;
  bandwidth = null;
  share = null;
  readonly #ends: Ends;
  readonly #receiver: SimReceiver;
  readonly #session: SimSession;
  #open = true;

  private constructor(ends: Ends, receiver: SimReceiver, session: SimSession) {
    this.#ends = ends;
    this.#receiver = receiver;
    this.#session = session;
    session.connected();
    ends.who.onDeath(() => this.cut());
    receiver.who.onDeath(() => (this.#open = false));
  }

  static open(ends: Ends, signal: AbortSignal): Promise<SimLink> {
    const { who, peer, migration, epoch } = ends;
    return who.effect(
      'link connect',
      () => {
        const receiver = who.world.worker(peer)?.receiver;
        const unreachable = () =>
          new CmtError('PEER_UNREACHABLE', { host: who.node, peer, address: peer, reason: 'no answer' });
        if (receiver?.who.isAlive !== true || who.world.links.isCutEitherWay(who.node, peer))
          throw unreachable();
        const session = receiver.session(migration, epoch);
        if (session === null) throw new CmtError('SESSION_LOST', { host: peer, migration });
        return new SimLink(ends, receiver, session);
      },
      { ms: CONNECT_MS, signal },
    );
  }

  get isOpen(): boolean {
    return this.#open && !this.#session.isOver;
  }

  cut(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#receiver.who.deliver(() => this.#session.disconnected());
  }

  openPages = (): Promise<never> => Promise.reject(new Error('no post-copy here'));

  restorerArmed(signal: AbortSignal): Promise<void> {
    const session = this.#session;
    return this.#over(
      'armed',
      () =>
        new Promise<void>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
          if (session.armed) resolve();
          else session.armedWaiters.add(resolve);
          this.#receiver.who.onDeath(() => reject(broken('the target is gone')));
        }),
      signal,
    );
  }

  sendImages(name: string, directory: string, signal: AbortSignal) {
    this.#session.begin();
    const { host } = this.#ends;
    return {
      bytesSent: 0,
      cancel: () => undefined,
      finish: async () => {
        await this.#over(
          'send images',
          () => {
            const generation = host.images.get(directory);
            if (generation === undefined) throw broken('the images are gone');
            this.#receiver.host.images.set(join(this.#session.expectation.images, name), generation);
            this.#session.verified = name === 'final';
          },
          signal,
          30,
        );
        return { bytesSent: 1, imageBytes: 1, sendMs: 1 };
      },
    };
  }

  async syncFiles(directory: string, signal: AbortSignal): Promise<{ bytes: number }> {
    const { host } = this.#ends;
    await this.#over(
      'sync files',
      () => {
        const copy = host.copy;
        const content = { generation: copy?.generation ?? -1, whileFrozen: copy?.status === 'paused' };
        this.#receiver.host.bundles.set(directory, content);
      },
      signal,
      40,
    );
    return { bytes: 1 };
  }

  warmUp = (signal: AbortSignal) => this.#over('warm up', () => undefined, signal);

  async go(signal: AbortSignal): Promise<void> {
    const { bundle } = this.#session.expectation;
    if (bundle !== null && bundle !== BUNDLE) throw broken('another bundle');
    await this.#over('go', () => this.#receiver.who.deliver(() => this.#session.go()), signal);
  }

  abandon(reason: string): void {
    if (!this.#open || this.#isCut()) return;
    this.#receiver.who.after(1, () => this.#session.abandon(reason));
  }

  close = () => Promise.resolve(this.cut());

  /** Something said to the target. It waits out a short silence, and breaks with a long one or with the target's death. */
  #over<T>(label: string, act: () => T | Promise<T>, signal: AbortSignal, ms = 2): Promise<T> {
    const { who } = this.#ends;
    return who.effect(
      `link ${label}`,
      async () => {
        for (let silent = 0; ; silent += 250) {
          if (!this.isOpen || !this.#receiver.who.isAlive) throw broken('the connection is closed');
          if (signal.aborted) throw signal.reason as Error;
          if (!this.#isCut() && !this.#receiver.who.isStopped) return await act();
          if (silent > SILENCE_MS && this.#isCut()) break;
          await new Promise<void>((resolve) => who.world.time.after(250, resolve));
        }
        this.cut();
        throw broken('nothing was heard for too long');
      },
      { ms, signal },
    );
  }

  #isCut = () => this.#ends.who.world.links.isCutEitherWay(this.#ends.who.node, this.#ends.peer);
}

const broken = (reason: string): CmtError =>
  new CmtError('TRANSFER_BROKEN', { host: 'source', peer: 'target', bytes: 0, reason });
