/** Asking hosts how they are: a client asks a coordinator, whose word the workers obey, and that one asks the workers. */
import {
  DOCTOR_PEERS,
  DoctorAnswer,
  Failure,
  messageOf,
  ORDERS_QUEUE,
  remedyOf,
  steps,
  type CmtError,
  type Diagnosis,
  type DoctorOrder,
  type HostName,
  type StepResult,
} from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { askHost } from './ask-host.ts';
import { reaching } from './connection.ts';
import type { KeyPair } from './key-pair.ts';
import { awaitOrder, openOrdersQueue } from './order-job.ts';
import { hosts, type SeenHost } from './registry.ts';
import { seal } from './seal.ts';

/** Milliseconds: until a worker must have begun to look, and until it must have looked at everything. */
const PICK_UP_MS = 10_000;
const LOOK_LIMIT_MS = 45_000;

const Answered = z.object({ answer: DoctorAnswer.optional(), refused: Failure.optional() });

/**
 * What these hosts say about themselves and about the ways to each other.
 * @throws {CmtError} COORDINATOR_MISSING, REQUEST_FORGED when no coordinator trusts this key, REDIS_UNREACHABLE
 */
export async function askDoctor(
  redis: Redis,
  names: readonly HostName[],
  signingKeys: KeyPair,
  signal: AbortSignal,
): Promise<Diagnosis[] | Failure> {
  const nonce = randomBytes(8).toString('hex');
  const order: DoctorOrder = { v: 1, kind: 'doctor', hosts: [...names], nonce, issuedAt: Date.now() };
  const sealed = seal(ORDERS_QUEUE, order, signingKeys);
  const queue = openOrdersQueue(redis);
  const asked = awaitOrder(redis, queue, { kind: 'doctor', nonce, sealed }, signal);
  const { answer, refused } = Answered.parse(await reaching(redis, asked));
  return refused ?? answer?.diagnoses ?? [];
}

/** The coordinator's part: every host looks at itself, and tries to reach those that follow it. */
export async function answerDoctor(
  redis: Redis,
  { hosts: names, nonce }: DoctorOrder,
  signingKeys: KeyPair,
  signal: AbortSignal,
): Promise<DoctorAnswer> {
  const seen = (await hosts(redis)).filter(({ state }) => state === 'online');
  const answers = names.map(async (host): Promise<Diagnosis[]> => {
    const peers = peersOf(host, seen).map(({ name, record: { endpoint } }) => ({ name, endpoint }));
    const call = { step: 'doctor', input: { peers }, timeoutMs: LOOK_LIMIT_MS } as const;
    try {
      const question = { host, nonce, call, pickUpMs: PICK_UP_MS };
      const { results } = await askHost(redis, signingKeys, question, signal);
      return diagnosesOf(host, results[0]);
    } catch (error) {
      const failure = Failure.safeParse((error as Partial<CmtError>).failure);
      if (!failure.success) throw error;
      return [told(host, failure.data)];
    }
  });
  return { diagnoses: (await Promise.all(answers)).flat() };
}

/** Those that come after a host in the order of names, round the end: every pair of a small fleet, a ring of a large one. */
function peersOf(host: HostName, seen: readonly SeenHost[]): SeenHost[] {
  const at = seen.findIndex(({ name }) => name === host);
  return [...seen.slice(at + 1), ...seen.slice(0, Math.max(0, at))].slice(0, DOCTOR_PEERS);
}

function diagnosesOf(host: HostName, result: StepResult | undefined): Diagnosis[] {
  if (result?.ok === false) return [told(host, result.failure)];
  const { data } = steps.doctor.output.safeParse(result?.output);
  return data?.diagnoses ?? [];
}

const told = (host: HostName, failure: Failure): Diagnosis => ({
  ...{ level: 'problem', area: 'worker', about: host },
  ...{ message: messageOf(failure), remedy: remedyOf(failure) },
});
