/**
 * A virtual machine under qemu's software emulation that runs one program and goes off.
 *
 * INVARIANTS
 * - It ends with this process, however that ends, and after `LIMIT_MS` in any case.
 * - Nothing of it is left: what it writes to its disks is in files that have no name any more.
 */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { start } from '@cmt/host';
import { lives } from '../support/lives.ts';
import type { Forecast } from './pre-copied.ts';
import { EVERY_MOVE } from './fleet-cases.ts';
import { ensureMachine, makeProgramDisk, type Machine } from './image.ts';

/** What the program says, one line of JSON each. `error` is the text of what went wrong. */
export type Told =
  | { readonly kind: 'ready' }
  | { readonly kind: 'case'; readonly name: string; readonly ms: number; readonly error: string | null }
  | { readonly kind: 'forecasts'; readonly of: string; readonly forecasts: readonly Forecast[] }
  | { readonly kind: 'end'; readonly error: string | null };

export const LIMIT_MS = (EVERY_MOVE ? 50 : 20) * 60_000;
const PREFIX = 'cmt-kernel-';

export interface Running {
  /** In the order in which it was said; ends with the machine. */
  readonly told: AsyncIterable<Told>;
  /** The last lines of its console. */
  readonly lastLines: () => Promise<string>;
  /** Off, and nothing is left. */
  stop(): Promise<void>;
}

export async function startMachine(onProgress: (line: string) => void): Promise<Running> {
  await removeStale();
  const machine = await ensureMachine(onProgress);
  const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  const consoleFile = join(directory, 'console.log');
  const disks = [machine.disk, await makeProgramDisk(directory)];
  const argv = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...qemuArgs(machine, disks, consoleFile)];
  const child = start('setpriv', argv, {
    ...{ stdio: ['ignore', 'pipe', 'ignore'], buffer: false, signal: AbortSignal.timeout(LIMIT_MS) },
  });
  const ended = child.catch(() => undefined);
  return {
    told: linesOf(child.stdout),
    lastLines: async () =>
      (await readFile(consoleFile, 'utf8').catch(() => '')).trim().split('\n').slice(-20).join('\n'),
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function qemuArgs({ kernel, rootfs }: Machine, disks: readonly string[], consoleFile: string): string[] {
  // What has a `=` and means nothing to the kernel is in the environment of init.
  const every = EVERY_MOVE ? ' CMT_TEST_EVERY_MOVE=1' : '';
  const words = `root=/dev/nvme0n1 rw init=/init console=ttyS0 quiet panic=-1 tsc=reliable mitigations=off CMT_ROOTFS=${rootfs}${every}`;
  return [
    ...['-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'max', '-smp', '2', '-m', '3072'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', kernel, '-append', words],
    ...['-serial', `file:${consoleFile}`, '-chardev', 'stdio,id=told,signal=off', '-serial', 'chardev:told'],
    ...disks.flatMap((file, n) => [
      ...['-drive', `if=none,id=disk${n},file=${file},format=raw,snapshot=on,cache=unsafe`],
      ...['-device', `nvme,serial=disk${n},drive=disk${n}`],
    ]),
  ];
}

async function* linesOf(stream: NodeJS.ReadableStream | null): AsyncIterable<Told> {
  if (stream === null) return;
  for await (const line of createInterface({ input: stream }))
    if (line.startsWith('{')) yield JSON.parse(line) as Told;
}

/** What runs that were killed have left; a process that is there may be another's, whose turn comes later. */
async function removeStale(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || lives(Number(pid))) continue;
    await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}
