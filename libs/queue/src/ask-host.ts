/** One question to a host outside any migration: a signed leg that changes nothing, and its answer. */
import { CmtError, hostQueue, Leg, type HostName, type LegResult, type StepCall } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { pause } from './bounded.ts';
import type { KeyPair } from './key-pair.ts';
import { addLeg, legId, legStatus, openHostQueue } from './leg-job.ts';
import { seal } from './seal.ts';

export interface Question {
  readonly host: HostName;
  /** Names the question: part of the job's id. */
  readonly nonce: string;
  readonly call: StepCall;
  /** Milliseconds until a worker must have begun it. */
  readonly pickUpMs: number;
}

const LOOK_MS = 50;

/** @throws {CmtError} HOST_UNREACHABLE when no worker answers in time */
export async function askHost(
  redis: Redis,
  signingKeys: KeyPair,
  { host, nonce, call, pickUpMs }: Question,
  signal: AbortSignal,
): Promise<LegResult> {
  const queue = openHostQueue(redis, host);
  const base = { v: 1, migration: `${call.step}-${nonce}`, epoch: 1, task: `${call.step}.1.1`, try: 1 };
  const leg = Leg.parse({ ...base, host, calls: [call], issuedAt: Date.now() });
  const begun = performance.now();
  try {
    await addLeg(queue, { leg, lease: 0, sealed: seal(hostQueue(host), leg, signingKeys) });
    for (;;) {
      signal.throwIfAborted();
      const status = await legStatus(redis, host, legId(leg));
      if (status?.result) return status.result;
      const waited = performance.now() - begun;
      const isLost = status === null || status.phase === 'failed';
      const isLate = waited > (status?.phase === 'waiting' ? pickUpMs : pickUpMs + call.timeoutMs);
      if (isLost || isLate) throw new CmtError('HOST_UNREACHABLE', { host });
      await pause(LOOK_MS, signal);
    }
  } finally {
    await queue.remove(legId(leg)).catch(() => 0);
  }
}
