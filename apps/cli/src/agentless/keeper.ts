/**
 * Keeps one host's session: finds or starts the worker there, holds the ssh connection that it speaks through, and makes it again
 * when it is lost. A process of its own, so that no command has to stay for it.
 *
 * INVARIANTS
 * - A first connection that comes to nothing leaves nothing on the host.
 * - It ends when the worker there has left by itself, and when the host could not be reached for a long time.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CmtError, type Failure } from '@cmt/contracts';
import {
  openSession,
  pushCmt,
  serveRelay,
  startRemoteWorker,
  stopRemoteWorker,
  surveyHost,
  type RemoteSession,
  type SessionEnd,
} from '@cmt/host';
import { loadKeyPair } from '@cmt/queue';
import { bundleDir } from '../apps.ts';
import { coordinatorStateDir } from '../embedded/embedded.ts';
import { readSetup, redisSpec } from '../embedded/setup.ts';
import {
  clientId,
  forget,
  placeOf,
  readSpec,
  readStatus,
  receiveSocketIn,
  socketsIn,
  writeStatus,
  type SessionSpec,
  type SessionStatus,
} from './place.ts';

/** Milliseconds between tries, doubled each time; and in vain, after which the next command has to ask again. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
const GIVE_UP_MS = 60 * 60_000;

/** Milliseconds that a worker over there waits for work, and for its client, before it ends. */
const IDLE_MS = 15 * 60_000;
const AWAY_MS = 3 * 60_000;

interface Kept {
  readonly stateDir: string;
  readonly place: string;
  readonly spec: SessionSpec;
  readonly keeper: string;
  /** Known from the first connection on. */
  machine: string | null;
}

/** Runs until the session is not needed any more. @param keeper tells this start from others */
export async function keepSession(stateDir: string, place: string, keeper: string): Promise<void> {
  const spec = await readSpec(place);
  if (spec === null) return;
  const kept: Kept = { stateDir, place, spec, keeper, machine: (await readStatus(place))?.machine ?? null };
  await serveRelay(join(place, 'relay.sock'), (peer) => receiveSocketIn(placeOf(stateDir, peer)));
  let [wasUp, failedSince, tries] = [false, performance.now(), 0];
  for (;;) {
    const outcome = await once(kept, wasUp);
    if (outcome.end === 'worker-left') return await forget(place);
    if (outcome.wasUp) [wasUp, failedSince, tries] = [true, performance.now(), 0];
    const isFinal = !wasUp || performance.now() - failedSince > GIVE_UP_MS;
    await say(kept, isFinal ? 'failed' : 'lost', outcome.failure);
    if (isFinal) return;
    await pause(Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS));
    tries += 1;
  }
}

interface Outcome {
  readonly end: SessionEnd;
  readonly wasUp: boolean;
  readonly failure: Failure | null;
}

/** One connection, from the first look to its end. */
async function once(kept: Kept, wasUp: boolean): Promise<Outcome> {
  let session: RemoteSession | undefined;
  try {
    if (!wasUp) await say(kept, 'connecting', null);
    session = await connect(kept, wasUp);
    const end = await session.ended;
    return { end, wasUp: true, failure: null };
  } catch (error) {
    session?.close();
    if (!(error instanceof CmtError)) throw error;
    return { end: 'lost', wasUp: false, failure: error.failure };
  }
}

async function connect(kept: Kept, wasUp: boolean): Promise<RemoteSession> {
  const { stateDir, place, spec } = kept;
  const { ssh, name } = spec;
  const survey = await surveyHost(ssh);
  const pushed = await pushCmt(ssh, survey, { bundleDir: bundleDir() });
  const client = await clientId(stateDir);
  const setup = await readSetup(stateDir);
  await loadKeyPair(coordinatorStateDir(stateDir));
  const trustedKey = await readFile(join(coordinatorStateDir(stateDir), 'keys/cmt.pub'), 'utf8');
  const lives = { idleMs: IDLE_MS, awayMs: AWAY_MS };
  const wish = { client, name, trustedKey, redisPassword: setup.tcp?.password, ...lives };
  await startRemoteWorker(ssh, { survey, pushed, wish });
  const session = openSession(ssh, client, socketsIn(place, redisSpec(stateDir, setup).socket));
  try {
    await session.ready;
  } catch (error) {
    if (!wasUp) await stopRemoteWorker(ssh, survey, client);
    throw error;
  }
  kept.machine = survey.machine;
  await say(kept, 'up', null);
  return session;
}

const say = (
  { place, keeper, machine }: Kept,
  state: SessionStatus['state'],
  failure: Failure | null,
): Promise<void> => writeStatus(place, { state, keeper, machine, failure });
