/** What the demo found out, as one JSON object, and whether that is good: pure. */
import type { MigrationReport } from '@cmt/contracts';
import type { CopiesReport } from './copies.ts';
import type { CountReport } from './count.ts';

export interface DemoResult {
  readonly ok: boolean;
  readonly migrations: readonly {
    readonly id: string;
    readonly from: string;
    readonly to: string;
    readonly state: string;
    readonly blackoutMs: number | null;
    readonly totalMs: number;
    readonly steps: readonly { readonly name: string; readonly ms: number }[];
  }[];
  readonly client: Pick<CountReport, 'operations' | 'connectionsLost' | 'wrongValues' | 'longestGapMs'>;
  readonly copies: CopiesReport['copies'];
}

export interface Observed {
  readonly migrations: readonly MigrationReport[];
  readonly client: CountReport;
  readonly copies: CopiesReport;
  /** Whether the data beside the counter is what was put in. */
  readonly dataIntact: boolean;
}

/** How many migrations a demo makes: there, and back. */
const MIGRATIONS = 2;

export function resultOf(observed: Observed): DemoResult {
  const { migrations, client, copies } = observed;
  return {
    ok: complaints(observed).length === 0,
    migrations: migrations.map(({ id, from, to, state, blackoutMs, totalMs, steps }) => ({
      ...{ id, from, to, state, blackoutMs, totalMs },
      steps: steps.map(({ name, ms }) => ({ name, ms })),
    })),
    client: {
      operations: client.operations,
      connectionsLost: client.connectionsLost,
      wrongValues: client.wrongValues,
      longestGapMs: client.longestGapMs,
    },
    copies: copies.copies,
  };
}

/** Everything that is not as it must be, in words; none when all is well. */
export function complaints({ migrations, client, copies, dataIntact }: Observed): string[] {
  const { maxRunningAtOnce, minRunnable } = copies.copies;
  const checks: [boolean, string][] = [
    [migrations.length === MIGRATIONS, `${migrations.length} of ${MIGRATIONS} migrations were made`],
    [client.operations > 0, 'the client got no answer at all'],
    [client.connectionsLost === 0, `the client lost its connection: ${client.lostBecause ?? ''}`],
    [client.wrongValues === 0, `${client.wrongValues} values were lost or repeated`],
    [dataIntact, 'data in memory was lost or changed'],
    [maxRunningAtOnce <= 1, `${maxRunningAtOnce} copies ran at the same time`],
    [minRunnable >= 1, 'for a moment there was no copy that could run'],
  ];
  const unfinished = migrations.filter(({ state }) => state !== 'done');
  return [
    ...unfinished.map(({ id, state, message }) => `migration ${id} ended as ${state}: ${message ?? ''}`),
    ...checks.filter(([good]) => !good).map(([, complaint]) => complaint),
  ];
}

/** The client's longest wait that began while a migration was under way. Both clocks are this machine's. */
export function gapDuring(client: CountReport, { from, to }: { from: number; to: number }): number {
  return Math.max(0, ...client.gaps.filter(({ at, ms }) => at + ms >= from && at <= to).map(({ ms }) => ms));
}
