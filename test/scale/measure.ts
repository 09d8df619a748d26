/** Figures of processes and of Redis. */
import type { RedisConnection } from '@cmt/queue';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** How long a fleet is left alone that has just begun, and then looked at while it does nothing. */
const SETTLE_MS = 4_000;
const IDLE_MS = 4_000;

export interface Usage {
  readonly rssMiB: number;
  /** Seconds of CPU since its start. */
  readonly cpuS: number;
}

/** proc_pid_stat(5): 14 and 15 are in ticks of 10 ms, the peak of memory is in proc_pid_status(5). */
export async function usageOf(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  return { rssMiB: Math.round(peak / 1024), cpuS: (Number(fields[11]) + Number(fields[12])) / 100 };
}

/** Looks at these processes now; called later, it says how many seconds of CPU each group has used since. */
export async function cpuSince(
  groups: Readonly<Record<string, readonly { readonly pid: number }[]>>,
): Promise<() => Promise<Record<string, number>>> {
  const look = async (): Promise<[string, number][]> =>
    await Promise.all(
      Object.entries(groups).map(async ([name, all]): Promise<[string, number]> => {
        const used = await Promise.all(all.map(({ pid }) => usageOf(pid)));
        return [name, used.reduce((sum, { cpuS }) => sum + cpuS, 0)];
      }),
    );
  const before = new Map(await look());
  return async () =>
    Object.fromEntries((await look()).map(([name, used]) => [name, used - (before.get(name) ?? 0)]));
}

export interface RedisCount {
  readonly commands: number;
  readonly memory: number;
  readonly cpuS: number;
  readonly at: number;
  readonly byCommand: ReadonlyMap<string, number>;
}

/** What it starts to write its log anew counts, too. */
const CPU_FIELDS = ['sys', 'user', 'sys_children', 'user_children'].map((kind) => `used_cpu_${kind}`);

export async function countsOf(redis: RedisConnection): Promise<RedisCount> {
  const text = await redis.info('all');
  const number = (field: string): number =>
    Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(text)?.[1] ?? 0);
  const stats = [...text.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)];
  return {
    commands: number('total_commands_processed'),
    memory: number('used_memory'),
    cpuS: CPU_FIELDS.map(number).reduce((sum, used) => sum + used, 0),
    at: performance.now(),
    byCommand: new Map(stats.map(([, name, calls]) => [name ?? '', Number(calls)])),
  };
}

/** Commands that were called most between two looks, each as calls per `units`. */
export const mostCalled = (before: RedisCount, after: RedisCount, units: number): Record<string, number> =>
  Object.fromEntries(
    [...after.byCommand]
      .map(([name, calls]) => [name, round((calls - (before.byCommand.get(name) ?? 0)) / units)] as const)
      .sort(([, a], [, b]) => b - a)
      .slice(0, 16),
  );

export const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

/** The value below which a share of them lies; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** What a fleet costs that does nothing: commands, and of each group milliseconds of CPU, a second. */
export async function idleRate(
  look: RedisConnection,
  groups: Parameters<typeof cpuSince>[0],
): Promise<{ commandsPerSecond: number; cpuMsPerSecond: Record<string, number> }> {
  await pause(SETTLE_MS);
  const spent = await cpuSince(groups);
  const before = await countsOf(look);
  await pause(IDLE_MS);
  const after = await countsOf(look);
  const seconds = (after.at - before.at) / 1000;
  const cpu = { ...(await spent()), redis: after.cpuS - before.cpuS };
  return {
    commandsPerSecond: (after.commands - before.commands) / seconds,
    cpuMsPerSecond: Object.fromEntries(
      Object.entries(cpu).map(([who, used]) => [who, round((used * 1000) / seconds)]),
    ),
  };
}

/** Milliseconds of CPU of each group: all of it for a migration, and each second what the same group takes when it does nothing. */
export interface Spent {
  readonly perMigration: Record<string, number>;
  readonly idlePerSecond: Record<string, number>;
  readonly migrationsPerSecond: number;
}

/** Milliseconds of CPU for a migration, without what waiting, renewing and announcing take as long as it lasts. */
export function workOf({ perMigration, idlePerSecond, migrationsPerSecond }: Spent): number {
  const sum = (spent: Record<string, number>): number => Object.values(spent).reduce((a, b) => a + b, 0);
  return round(sum(perMigration) - sum(idlePerSecond) / migrationsPerSecond, 2);
}

/** What BullMQ alone takes of the processors for a migration, as a share of what cmt takes: less touched than a rate by what else the machine does. */
export const cpuRatio = (own: Spent, bare: Spent): number => round(workOf(bare) / workOf(own), 2);

export const spentBy = (measured: {
  readonly cpuMsPerMigration: Record<string, number>;
  readonly idleCpuMsPerSecond: Record<string, number>;
  readonly migrationsPerSecond: number;
}): Spent => ({
  perMigration: measured.cpuMsPerMigration,
  idlePerSecond: measured.idleCpuMsPerSecond,
  migrationsPerSecond: measured.migrationsPerSecond,
});

/** Of each migration by one of these processes: milliseconds of CPU. */
export const perMigration = (seconds: Record<string, number>, migrations: number): Record<string, number> =>
  Object.fromEntries(
    Object.entries(seconds).map(([who, each]) => [who, round((each * 1000) / migrations, 2)]),
  );

const LOOK_MS = 100;

/** Nothing in Redis tells of it, so it is looked at. @throws when it takes longer than an hour */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 3_600_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error('it did not end within an hour');
    await pause(LOOK_MS);
  }
}
