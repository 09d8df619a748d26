/**
 * A virtual machine under qemu's software emulation that runs one program and goes off.
 *
 * INVARIANTS
 * - It ends with this process, however that ends, and after its limit in any case.
 * - Nothing of it is left: what it writes to its disks is in files that have no name any more.
 */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { start } from '@cmt/host';
import { lives } from '../support/lives.ts';
import { ensureMachine, makeProgramDisk, type Machine, type Program } from './image.ts';

const PREFIX = 'cmt-kernel-';

export interface Order {
  readonly program: Program;
  /** Of the program, beside what init gives it. */
  readonly env?: Readonly<Record<string, string>>;
  readonly memoryMiB: number;
  readonly limitMs: number;
  readonly onProgress: (line: string) => void;
}

export interface Running<Told> {
  /** What the program says, one line of JSON each, in the order in which it was said; ends with the machine. */
  readonly told: AsyncIterable<Told>;
  /** The last lines of its console. */
  readonly lastLines: () => Promise<string>;
  /** Off, and nothing is left. */
  stop(): Promise<void>;
}

/** @typeParam Told what the program is known to say: the build is the same on both sides */
export async function startMachine<Told>(order: Order): Promise<Running<Told>> {
  await removeStale();
  const machine = await ensureMachine(order.onProgress);
  const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  const consoleFile = join(directory, 'console.log');
  const disks = [machine.disk, await makeProgramDisk(directory, order.program)];
  const argv = [
    '--pdeathsig',
    'KILL',
    'qemu-system-x86_64',
    ...qemuArgs(machine, disks, { ...order, consoleFile }),
  ];
  const child = start('setpriv', argv, {
    ...{ stdio: ['ignore', 'pipe', 'ignore'], buffer: false, signal: AbortSignal.timeout(order.limitMs) },
  });
  const ended = child.catch(() => undefined);
  return {
    told: linesOf<Told>(child.stdout),
    lastLines: async () =>
      (await readFile(consoleFile, 'utf8').catch(() => '')).trim().split('\n').slice(-20).join('\n'),
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function qemuArgs(
  { kernel, rootfs }: Machine,
  disks: readonly string[],
  { memoryMiB, env = {}, consoleFile }: Pick<Order, 'memoryMiB' | 'env'> & { readonly consoleFile: string },
): string[] {
  // What has a `=` and means nothing to the kernel is in the environment of init.
  const named = Object.entries({ CMT_ROOTFS: rootfs, ...env }).map(([name, value]) => `${name}=${value}`);
  const words = `root=/dev/nvme0n1 rw init=/init console=ttyS0 quiet panic=-1 tsc=reliable mitigations=off ${named.join(' ')}`;
  return [
    ...['-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'max', '-smp', '2', '-m', `${memoryMiB}`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', kernel, '-append', words],
    ...['-serial', `file:${consoleFile}`, '-chardev', 'stdio,id=told,signal=off', '-serial', 'chardev:told'],
    ...disks.flatMap((file, n) => [
      ...['-drive', `if=none,id=disk${n},file=${file},format=raw,snapshot=on,cache=unsafe`],
      ...['-device', `nvme,serial=disk${n},drive=disk${n}`],
    ]),
  ];
}

async function* linesOf<Told>(stream: NodeJS.ReadableStream | null): AsyncIterable<Told> {
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
