/**
 * The demo: two lab hosts, a Redis under load, moved there and back by the real `cmt migrate`.
 *
 * INVARIANTS
 * - Whatever happens, the lab goes down before `runDemo` settles, unless it is to be kept.
 * - What is measured is measured by processes of their own; this one only waits.
 */
import type { MigrationReport } from '@cmt/contracts';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lab } from '../lab.ts';
import { LabError } from '../lab-error.ts';
import { labLs } from '../state.ts';
import type { Cmt } from './cmt.ts';
import { removeContainer, startContainer } from './container.ts';
import { startCountingClient, startWitness } from './observer.ts';
import {
  DATA_MIB,
  REDIS_ID,
  REDIS_PORT,
  checksum,
  fillRedis,
  redisAddress,
  redisContainer,
} from './redis-container.ts';
import { gapDuring, type Observed } from './result.ts';
import { clientLine, ending, labLine, migrationText, opening, redisLine } from './story.ts';

export interface DemoSite {
  readonly cmt: Cmt;
  /** Name of the lab. */
  readonly name: string;
  readonly tell: (text: string) => void;
  readonly signal: AbortSignal;
}

const UP_MS = 20 * 60_000;
const MIGRATE_MS = 3 * 60_000;
/** How long the client counts undisturbed before, between and after the migrations. */
const CALM_MS = 1000;

/** Runs the demo in a lab that it brings up, and leaves up. @throws when something cannot even be tried. */
export async function runDemo(site: DemoSite): Promise<Observed> {
  const { tell, signal } = site;
  tell(opening());
  const lab = await timed(
    () => bringUp(site),
    (up, ms) => tell(labLine(up, ms)),
  );
  const sum = await timed(
    () => startRedis(lab, signal),
    (_, ms) => tell(redisLine(redisAddress(lab), DATA_MIB, ms)),
  );
  const server = { address: redisAddress(lab), port: REDIS_PORT, key: 'count' };
  const [client, witness] = [await startCountingClient(lab, server), await startWitness(lab, REDIS_ID)];
  try {
    tell(clientLine(lab.fabric.gateway));
    const migrations: MigrationReport[] = [];
    for (const [from, to] of [['host1', 'host2'] as const, ['host2', 'host1'] as const]) {
      await pause(CALM_MS, undefined, { signal });
      const begun = Date.now();
      const report = await migrate(site, from, to);
      await pause(CALM_MS, undefined, { signal });
      migrations.push(report);
      tell(migrationText(report, gapDuring(await client.report(), { from: begun, to: Date.now() })));
      if (report.state !== 'done') break;
    }
    const [counted, copies] = [await client.end(), await witness.end()];
    const dataIntact = (await checksum(lab, signal)) === sum;
    const observed = { migrations, client: counted, copies, dataIntact };
    tell(ending(observed));
    return observed;
  } finally {
    client.kill();
    witness.kill();
  }
}

async function bringUp({ cmt, name, signal }: DemoSite): Promise<Lab> {
  const up = await cmt(['lab', 'up', '--name', name], UP_MS, signal);
  const lab = (await labLs()).find((other) => other.name === name);
  if (up.ok && lab) return lab;
  throw new LabError(`the lab did not come up: ${up.error?.message ?? ''}`);
}

async function startRedis(lab: Lab, signal: AbortSignal): Promise<string> {
  for (const { name } of lab.hosts) await removeContainer(lab, name, REDIS_ID);
  await startContainer(lab, 'host1', redisContainer(lab));
  return fillRedis(lab, signal);
}

async function migrate({ cmt, signal }: DemoSite, from: string, to: string): Promise<MigrationReport> {
  const { migration, error } = await cmt(
    ['migrate', REDIS_ID, '--src', from, '--dst', to],
    MIGRATE_MS,
    signal,
  );
  if (migration) return migration;
  throw new LabError(`cmt migrate could not even begin: ${error?.message ?? ''}`);
}

async function timed<T>(work: () => Promise<T>, tell: (result: T, ms: number) => void): Promise<T> {
  const begun = performance.now();
  const result = await work();
  tell(result, performance.now() - begun);
  return result;
}
