/**
 * The target's end of the data connection: doors, handshakes, and one handler per channel.
 *
 * INVARIANTS
 * - Before a valid signature of the session's source a connection costs a few KiB and ends after the handshake's time limit.
 * - A channel reaches only the session of its own migration, epoch, source key and door.
 * - Per session there is one channel of each purpose and name; a newer one starts when the older has ended.
 * - The TCP door is open only while there is a session: for connections of carriers, for all others where the session asks for tcp.
 *   The worker's own ssh is open from its first session on, and while a source may come to ask what became of an epoch.
 */
import type { Duplex } from 'node:stream';
import { CmtError } from '@cmt/contracts';
import type { Epoch, HostName, MigrationId, TransportName } from '@cmt/contracts';
import type { Identity } from '../identity.ts';
import { Channel } from './channel.ts';
import { openTcpDoor, openUnixDoor, openWideDoor } from './doors.ts';
import type { Door } from './doors.ts';
import { serveCarriage } from './carried-images.ts';
import { servePages } from './carry-pages.ts';
import { challenge } from './handshake.ts';
import type { Asked } from './handshake.ts';
import { DEFAULT_TIMINGS, within } from './limits.ts';
import type { Timings } from './limits.ts';
import { STRANGER_LIMITS } from './messages.ts';
import type { Purpose } from './messages.ts';
import { createOwnSshd, type OwnSshd } from './own-sshd.ts';
import type { Expectation, Receiver, Session, WithdrawAnswers } from './receiver.ts';
import { serveControl, serveFiles, serveImages } from './serve.ts';
import type { CarriagePort } from './serve.ts';
import { TargetSession } from './session.ts';

/** Where a worker speaks ssh itself. */
export interface OwnDoors {
  /** Unix socket that the client reaches, given to its login. */
  readonly socket: string;
  readonly uid: number;
  readonly gid: number;
  /** Private host key in OpenSSH's format. */
  readonly hostKey: string;
}

export interface ReceiverOptions {
  readonly host: HostName;
  readonly identity: Identity;
  /** Unix socket of the ssh door; its directory becomes 0700 and also holds rsync's private files. */
  readonly socket: string;
  /** The TCP door: for the bytes of images, and for everything with `--transport tcp`. */
  readonly address: string;
  readonly port: number;
  /** Where no sshd lets other hosts in: this worker's own, on `port` at all addresses, and on a socket that leads to the client. */
  readonly own?: OwnDoors | undefined;
  readonly timings?: Timings;
  /** Told about connections that were turned away. */
  readonly onRefused?: (reason: string) => void;
}

/** The receiver of this host. Nothing is open before `listen`. */
export function createReceiver(options: ReceiverOptions): Receiver {
  return new HostReceiver(options);
}

/** Milliseconds for an answer to be taken. */
const ANSWERED_MS = 2_000;

interface Running {
  readonly channel: Channel;
  readonly done: Promise<void>;
}

interface Prepared {
  readonly session: TargetSession;
  /** By purpose and name. */
  readonly running: Map<string, Running>;
}

class HostReceiver implements Receiver {
  readonly #options: ReceiverOptions;
  readonly #timings: Timings;
  readonly #prepared = new Map<MigrationId, Prepared>();
  readonly #strangers = new Set<Channel>();
  readonly #sshd: OwnSshd | null;
  #answers: WithdrawAnswers | null = null;
  #unix: Door | null = null;
  #client: Door | null = null;
  /** Speaks ssh. */
  #wide: Promise<Door> | null = null;
  #tcp: Promise<Door> | null = null;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#timings = options.timings ?? DEFAULT_TIMINGS;
    const { own } = options;
    this.#sshd =
      own === undefined ? null : createOwnSshd(own.hostKey, (stream) => void this.#greet(stream, 'ssh'));
  }

  async listen(): Promise<void> {
    const { socket, own } = this.#options;
    this.#unix ??= await openUnixDoor(socket, (stream) => void this.#greet(stream, 'ssh'));
    if (own !== undefined)
      this.#client ??= await openUnixDoor(own.socket, (stream) => this.#sshd?.serve(stream), own);
  }

  async expect(expectation: Expectation): Promise<Session> {
    const { migration, epoch } = expectation;
    const current = this.#prepared.get(migration)?.session.expectation.epoch ?? 0;
    if (current > epoch) throw this.#stale('prepare', epoch, current);
    await this.forget(migration);
    const session = new TargetSession(expectation, this.#options.host, this.#timings.grace);
    this.#prepared.set(migration, { session, running: new Map() });
    await this.#openDoorsFor(expectation);
    return session;
  }

  session(migration: MigrationId, epoch: Epoch): Session | null {
    const session = this.#prepared.get(migration)?.session;
    return session?.expectation.epoch === epoch ? session : null;
  }

  async forget(migration: MigrationId): Promise<void> {
    const prepared = this.#prepared.get(migration);
    if (prepared === undefined) return;
    this.#prepared.delete(migration);
    prepared.session.end(this.#lost(migration));
    await Promise.all([...prepared.running.values()].map(stopRunning));
    if (this.#prepared.size === 0) await this.#closeTcp();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#prepared.keys()].map((migration) => this.forget(migration)));
    for (const stranger of this.#strangers) stranger.destroy();
    await this.#closeTcp();
    await (await this.#wide)?.close();
    await this.#unix?.close();
    await this.#client?.close();
    [this.#unix, this.#client, this.#wide] = [null, null, null];
  }

  /** Without a TCP door images still pass where everything else passes, unless that is the very door. */
  async #openDoorsFor({ migration, transport }: Expectation): Promise<void> {
    try {
      if (this.#options.own !== undefined) await this.#openWide();
      await this.#openTcp().catch((error: unknown) => {
        if (transport === 'tcp') throw error;
        this.#options.onRefused?.(`no TCP door for images: ${(error as Error).message}`);
      });
    } catch (error) {
      await this.forget(migration);
      throw error;
    }
  }

  async #openWide(): Promise<void> {
    this.#wide ??= openWideDoor(this.#options.port, (stream) => this.#sshd?.serve(stream));
    await this.#wide.catch((error: unknown) => {
      this.#wide = null;
      throw error;
    });
  }

  /** Where this worker speaks ssh at its port, at any other. */
  async #openTcp(): Promise<void> {
    const { address, port, own } = this.#options;
    this.#tcp ??= openTcpDoor(
      address,
      own === undefined ? port : 0,
      (stream) => void this.#greet(stream, 'tcp'),
    );
    await this.#tcp.catch((error: unknown) => {
      this.#tcp = null;
      throw error;
    });
  }

  /** Where a carrier's connection is expected. */
  async #carriagePort(): Promise<CarriagePort> {
    const door = await this.#tcp?.catch(() => null);
    if (door === undefined || door === null) return null;
    return this.#options.own === undefined ? undefined : door.port;
  }

  async #closeTcp(): Promise<void> {
    const door = this.#tcp;
    this.#tcp = null;
    await (await door)?.close();
  }

  /** A connection from its first byte to its last. Never rejects. */
  async #greet(stream: Duplex, door: TransportName): Promise<void> {
    const channel = new Channel(stream, STRANGER_LIMITS);
    this.#strangers.add(channel);
    try {
      const asked = await challenge(channel, this.#options.identity, { ms: this.#timings.handshake });
      if (asked.open.purpose.kind === 'withdraw') return await this.#answer(channel, asked);
      const prepared = this.#admit(asked, door);
      this.#strangers.delete(channel);
      await this.#run(channel, prepared, asked);
    } catch (error) {
      this.#options.onRefused?.((error as Error).message);
      if (error instanceof CmtError) channel.send({ type: 'failed', failure: error.failure });
      this.#dismiss(channel);
    } finally {
      this.#strangers.delete(channel);
    }
  }

  async answerWith(answers: WithdrawAnswers): Promise<void> {
    this.#answers = answers;
    if (this.#options.own !== undefined && (await answers.mayBeAsked())) await this.#openWide();
  }

  /** A source that cannot reach Redis asks; also when this worker was started again since. @throws CmtError SESSION_LOST */
  async #answer(channel: Channel, { open, isFrom, accept }: Asked & { accept: () => void }): Promise<void> {
    const { migration, epoch } = open;
    const key = (await this.#answers?.keyOf(migration)) ?? null;
    if (this.#answers === null || key === null || !isFrom(key)) throw this.#lost(migration);
    this.#strangers.delete(channel);
    accept();
    const { verdict, tidy } = await this.#answers.withdraw(migration, epoch);
    channel.send({ type: 'withdrawn', verdict });
    channel.endAndIgnore();
    await within(channel.closed, { ms: ANSWERED_MS }).catch(() => channel.destroy());
    await tidy();
  }

  /** The session that the asker may reach. @throws CmtError SESSION_LOST, STALE_EPOCH, TRANSFER_BROKEN */
  #admit({ open, isFrom }: Asked, door: TransportName): Prepared {
    const prepared = this.#prepared.get(open.migration);
    if (prepared === undefined) throw this.#lost(open.migration);
    const { expectation } = prepared.session;
    if (!isFrom(expectation.sourceKey))
      throw prepared.session.broken('its key is not the one that was prepared for');
    if (open.epoch < expectation.epoch) throw this.#stale(open.purpose.kind, open.epoch, expectation.epoch);
    const entrance = open.purpose.kind === 'carriage' ? 'tcp' : expectation.transport;
    if (open.epoch > expectation.epoch || door !== entrance) throw this.#lost(open.migration);
    return prepared;
  }

  async #run(channel: Channel, prepared: Prepared, asked: Asked & { accept: () => void }): Promise<void> {
    const { session, running } = prepared;
    const { purpose, host } = asked.open;
    if (purpose.kind === 'carriage') return serveCarriage(channel, session, purpose.name, asked.accept);
    const key = keyOf(purpose);
    const older = running.get(key);
    const done = (async () => {
      if (older !== undefined) await stopRunning(older);
      const scene = { channel, session, source: host, host: this.#options.host, timings: this.#timings };
      if (purpose.kind === 'control') await serveControl(scene, asked.accept);
      else if (purpose.kind === 'images')
        await serveImages(scene, { name: purpose.name, port: await this.#carriagePort() }, asked.accept);
      else if (purpose.kind === 'pages') await servePages(scene, await this.#carriagePort(), asked.accept);
      else await serveFiles(scene, this.#options.socket, asked.accept);
    })();
    const entry = { channel, done: done.catch(() => undefined) };
    running.set(key, entry);
    try {
      await done;
    } finally {
      if (running.get(key) === entry) running.delete(key);
    }
  }

  /** What was said last still arrives; then the connection goes, whether the other side closes it or not. */
  #dismiss(channel: Channel): void {
    channel.endAndIgnore();
    const timer = setTimeout(() => channel.destroy(), 1000);
    void channel.closed.then(() => clearTimeout(timer));
  }

  #lost(migration: MigrationId): CmtError {
    return new CmtError('SESSION_LOST', { host: this.#options.host, migration });
  }

  #stale(step: string, epoch: Epoch, current: Epoch): CmtError {
    return new CmtError('STALE_EPOCH', { host: this.#options.host, step, epoch, current });
  }
}

async function stopRunning({ channel, done }: Running): Promise<void> {
  channel.destroy();
  await done;
}

function keyOf(purpose: Purpose): string {
  return purpose.kind === 'images' ? `images/${purpose.name}` : purpose.kind;
}
