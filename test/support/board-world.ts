/** A board as it is built, over a Redis of the test's own, and a coordinator that plays what the test has written. */
import { keys, type HostRecord, type MigrationReport } from '@cmt/contracts';
import { announce, announceOnce, submitMigration, tell } from '@cmt/queue';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { buildCmt, startCmt } from './cmt.ts';
import { requestOf, startQueueWorld, type QueueWorld } from './queue-world.ts';

/** A step that is played: told as begun, and after `ms` (or when `until` is kept) as ended. */
export interface Act {
  readonly step: MigrationReport['steps'][number]['name'];
  readonly host: string;
  readonly ms: number;
  readonly until?: Promise<unknown>;
  /** What is told at its end instead of `done`. */
  readonly fails?: string;
  /** Plays at the same time. */
  readonly beside?: Act;
}

export interface Scene {
  readonly id: string;
  readonly container: string;
  readonly from?: string;
  readonly to?: string;
  readonly options?: object;
  readonly acts: readonly Act[];
  /** What the coordinator says of hooks at the end. */
  readonly hooks?: readonly { readonly step: string; readonly text: string }[];
  readonly end: Partial<MigrationReport>;
}

export interface RunningBoard {
  readonly url: string;
  readonly token: string;
  stop(): Promise<void>;
}

export interface BoardWorld {
  readonly queue: QueueWorld;
  readonly home: string;
  /** A host that announces itself until the end, or once and never again. */
  announce(record: HostRecord, how?: 'lives' | 'falls silent'): Promise<void>;
  /** Asks for a migration that goes as written. */
  play(scene: Scene): Promise<void>;
  /** Resolves when it has ended. */
  ended(id: string): Promise<void>;
  /** Another board over the same Redis. */
  board(env?: Readonly<Record<string, string>>): Promise<RunningBoard>;
  close(): Promise<void>;
}

const Ready = z.object({ url: z.string(), tokenFrom: z.string() });

export async function startBoardWorld(): Promise<BoardWorld> {
  await buildCmt();
  const home = await mkdtemp(join(tmpdir(), 'cmt-board-'));
  const queue = await startQueueWorld();
  const redis = queue.connection('producer');
  await untilReady(() => redis.status === 'ready');
  const scenes = new Map<string, Scene>();
  const boards: RunningBoard[] = [];
  const announcers: { close(): Promise<void> }[] = [];

  queue.coordinator(async (request, lease) => {
    const scene = scenes.get(request.id);
    const stored = lease.stored;
    if (scene === undefined || stored === null) throw new Error(`no scene for ${request.id}`);
    const began = Date.now();
    let report: MigrationReport = { ...stored.report, state: 'running' };
    const save = async (more: Partial<MigrationReport>) => {
      report = { ...report, ...more, totalMs: Date.now() - began };
      await lease.save({ scene: scene.id }, report);
    };
    const perform = async ({ step, host, ms, until, fails, beside }: Act): Promise<void> => {
      const event = { v: 1, migration: request.id, host, step } as const;
      await tell(redis, { ...event, at: Date.now(), kind: 'step-started', text: step });
      const at = Date.now();
      await Promise.all([until ?? pause(ms), ...(beside === undefined ? [] : [perform(beside)])]);
      await tell(redis, { ...event, at: Date.now(), kind: 'step-ended', text: fails ?? 'done' });
      const done = { name: step, host, try: 1, ok: fails === undefined, ms: Date.now() - at };
      await save({ steps: [...report.steps, done] });
    };
    for (const act of scene.acts) {
      await save({ step: act.step });
      await perform(act);
    }
    for (const hook of scene.hooks ?? []) await lease.tell({ kind: 'hook', ...hook });
    await save({ step: scene.acts.at(-1)?.step ?? null, ...scene.end });
  });

  return {
    ...{ queue, home },
    announce: async (record, how = 'lives') => {
      if (how === 'falls silent') return await announceOnce(redis, record);
      const announcer = announce(redis, record.facts.name, () => record, queue.logger);
      announcers.push(announcer);
      await announcer.now();
    },
    play: async (scene) => {
      scenes.set(scene.id, scene);
      const { id, container, from: source = 'alpha', to: target = 'beta', options = {} } = scene;
      const asked = requestOf(id, { container, source, target });
      const request = { ...asked, options: { ...asked.options, ...options } };
      await submitMigration(redis, request, queue.keys);
    },
    ended: (id) =>
      untilReady(async () => {
        const status = await redis.hget(keys.saga(id), 'status');
        const job = await redis.hget(`{cmt}:cmt.migrations:migration_${id}`, 'finishedOn');
        return status !== null && job !== null;
      }),
    board: async (env = {}) => {
      const board = await startBoard(home, { CMT_REDIS: queue.redis.url, ...env });
      boards.push(board);
      return board;
    },
    close: async () => {
      await Promise.all([...boards.map((board) => board.stop()), ...announcers.map((each) => each.close())]);
      await queue.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** The real program, on any free port. */
async function startBoard(home: string, env: Readonly<Record<string, string>>): Promise<RunningBoard> {
  const child = startCmt(['board', '--json', '--board-port', '0', '--log-level', 'warn'], { home, env });
  const words: string[] = [];
  child.stderr?.on('data', (bytes: Buffer) => words.push(bytes.toString()));
  const ready = await new Promise<z.infer<typeof Ready>>((resolve, reject) => {
    if (child.stdout)
      createInterface({ input: child.stdout }).on('line', (line) => resolve(Ready.parse(JSON.parse(line))));
    void child.then(() => reject(new Error(`the board has ended: ${words.join('')}`)), reject);
  });
  return {
    url: ready.url,
    token: (await readFile(ready.tokenFrom, 'utf8').catch(() => ready.tokenFrom)).trim(),
    stop: async () => {
      child.kill('SIGTERM');
      await child.catch(() => undefined);
    },
  };
}

/** Milliseconds: far longer than anything here takes. */
const PATIENCE_MS = 60_000;

async function untilReady(isReady: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isReady())) {
    if (performance.now() > deadline) throw new Error('it did not come about');
    await pause(20);
  }
}
