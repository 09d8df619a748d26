/**
 * A runtime whose containers are single real processes: frozen with SIGSTOP, dumped as a few files, restored stopped behind
 * the very gate script that CRIU would call. Slow and failing dumps and restores are asked for by its faults.
 */
import type { ContainerSummary } from '@cmt/contracts';
import { startTimeOf } from '../../libs/host/src/proc.ts';
import type {
  ArmedDump,
  ArmedRestore,
  ContainerState,
  DumpPlan,
  RestorePlan,
  RestoreUnderWay,
  Runtime,
} from '../../libs/host/src/runtimes/runtime.ts';
import { explainDump } from '../../libs/host/src/criu/log.ts';
import type { ProcessName } from '../../libs/host/src/machine.ts';
import { start, startDetached } from '../../libs/host/src/process.ts';
import type { Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** What goes wrong, or waits, at the next call. */
export interface Faults {
  beforeDump: () => Promise<void>;
  dumpLog: string | null;
  restoreFails: boolean;
}

interface Known {
  readonly pid: number;
  readonly bundle: string;
}

/** The container, stopped from its first moment; then the gate; then it runs, or dies. */
const RESTORE = `
sleep 3600 </dev/null >/dev/null 2>&1 &
pid=$!
kill -STOP $pid
printf '{"pid":%d,"bundle":"%s"}' $pid "$BUNDLE" > "$STATE.new" && mv "$STATE.new" "$STATE"
if [ -z "$FAILS" ] && CRTOOLS_SCRIPT_ACTION=post-restore CRTOOLS_INIT_PID=$pid "$GATE"; then kill -CONT $pid; exit 0; fi
rm -f "$STATE"
kill -KILL $pid
exit 1
`;

/** Process groups of restores, and of those that serve, by host, also of a runtime that was replaced: what a killed one leaves is found by them. */
const restoresIn = new Map<string, number[]>();

export class PaperRuntime implements Runtime {
  readonly name = 'runc' as const;
  readonly faults: Faults = { beforeDump: () => Promise.resolve(), dumpLog: null, restoreFails: false };
  dumps = 0;

  constructor(
    private readonly directory: string,
    private readonly host: string,
  ) {}

  /** Starts a container of somebody's own. Returns its process id. */
  async run(container: string, bundle: string): Promise<number> {
    await mkdir(this.directory, { recursive: true });
    const child = start('sleep', ['3600'], { detached: true, stdio: 'ignore' });
    child.catch(() => undefined);
    child.unref();
    await writeFile(this.path(container), JSON.stringify({ pid: child.pid, bundle }));
    return child.pid ?? 0;
  }

  version(): Promise<string> {
    return Promise.resolve('paper 1');
  }

  async list(): Promise<ContainerSummary[]> {
    const names = await readdir(this.directory).catch(() => []);
    const states = await Promise.all(
      names.filter((name) => name.endsWith('.json')).map((name) => this.state(name.slice(0, -5))),
    );
    return states
      .filter((state) => state !== null)
      .map(({ id, status, bundle, pid }) => ({ id, runtime: this.name, status, bundle, pid }));
  }

  async state(container: string): Promise<ContainerState | null> {
    const known = await this.known(container);
    if (known === null) return null;
    const { pid, bundle } = known;
    const alive = (await startTimeOf(pid)) !== null;
    const status = !alive ? 'stopped' : this.isFrozenByUser(container) ? 'paused' : 'running';
    return {
      id: container,
      status,
      pid: alive ? pid : 0,
      bundle,
      rootfs: join(bundle, 'rootfs'),
      cgroup: null,
    };
  }

  /** Whether its process executes instructions: neither stopped nor gone. */
  async executes(container: string): Promise<boolean> {
    const known = await this.known(container);
    return known !== null && executes(known.pid);
  }

  async pause(container: string): Promise<void> {
    const { pid } = await this.mustKnow(container);
    await writeFile(`${this.path(container)}.paused`, '');
    process.kill(pid, 'SIGSTOP');
    // A stop is delivered when the process is next scheduled; nothing tells when that was.
    while (executes(pid)) await wait(1);
  }

  async resume(container: string): Promise<void> {
    const { pid } = await this.mustKnow(container);
    await rm(`${this.path(container)}.paused`, { force: true });
    process.kill(pid, 'SIGCONT');
  }

  preDump(container: string, plan: DumpPlan): Promise<void> {
    return this.write(container, plan);
  }

  armDump(container: string, plan: DumpPlan): Promise<ArmedDump> {
    return Promise.resolve({
      dump: (signal) => this.dump(container, plan, signal),
      disarm: () => Promise.resolve(),
    });
  }

  private async dump(container: string, plan: DumpPlan, signal: AbortSignal): Promise<void> {
    this.dumps += 1;
    await writeFile(join(plan.images, 'core-1.img'), 'core');
    await this.faults.beforeDump();
    signal.throwIfAborted();
    if (this.faults.dumpLog !== null) {
      await writeFile(join(plan.work, 'dump.log'), this.faults.dumpLog);
      throw await explainDump(plan.work, { host: this.host, container });
    }
    await this.write(container, plan);
  }

  /** What is left out is told by the other end of the socket; the server is a process of its own, as CRIU is. */
  async dumpServing(container: string, plan: DumpPlan, pages: Socket): Promise<ProcessName> {
    this.dumps += 1;
    await this.write(container, plan);
    const child = startDetached('sh', ['-c', 'cat; exit'], [pages, 'pipe', 'ignore']);
    child.unref();
    const pid = child.pid ?? 0;
    this.endsWithTest(pid);
    return { pid, startTime: (await startTimeOf(pid)) ?? '' };
  }

  /** Only a name: the container is one process. */
  cgroup(container: string): Promise<string> {
    return Promise.resolve(`/cgroup/${container}`);
  }

  armRestore(container: string, plan: RestorePlan): Promise<ArmedRestore> {
    return Promise.resolve({
      begin: () => this.restore(container, plan),
      leave: () => Promise.resolve(),
    });
  }

  private async restore(container: string, plan: RestorePlan): Promise<RestoreUnderWay> {
    await mkdir(this.directory, { recursive: true });
    const image = await readFile(join(plan.images, 'pages-1.img'), 'utf8');
    if (!image.startsWith(container)) throw new Error('these images are not of this container');
    const gate = /action-script "(.*)"/.exec(await readFile(plan.criuConfig, 'utf8'))?.[1] ?? '';
    const env = {
      BUNDLE: plan.bundle,
      STATE: this.path(container),
      GATE: gate,
      FAILS: this.faults.restoreFails ? '1' : '',
    };
    const child = start('sh', ['-c', RESTORE], { detached: true, stdio: 'ignore', env });
    const pid = child.pid ?? 0;
    this.endsWithTest(pid);
    return {
      pid,
      startTime: (await startTimeOf(pid)) ?? '',
      ended: child.then(({ exitCode }) => ({ code: exitCode ?? null })),
    };
  }

  async destroy(container: string): Promise<void> {
    const known = await this.known(container);
    if (known === null) return;
    if ((await startTimeOf(known.pid)) !== null) process.kill(known.pid, 'SIGKILL');
    await rm(this.path(container), { force: true });
    await rm(`${this.path(container)}.paused`, { force: true });
  }

  private endsWithTest(group: number): void {
    if (group > 1) restoresIn.set(this.directory, [...(restoresIn.get(this.directory) ?? []), group]);
  }

  /** Ends whatever a restore, or one that serves, has started and left. */
  endRestores(): void {
    for (const group of restoresIn.get(this.directory) ?? [])
      try {
        process.kill(-group, 'SIGKILL');
      } catch {
        // Nobody of it is left.
      }
  }

  private async write(container: string, plan: DumpPlan): Promise<void> {
    await writeFile(join(plan.images, 'pages-1.img.part'), `${container}\n${'page'.repeat(50_000)}`);
    await rename(join(plan.images, 'pages-1.img.part'), join(plan.images, 'pages-1.img'));
  }

  private async mustKnow(container: string): Promise<Known> {
    const known = await this.known(container);
    if (known === null) throw new Error(`no container ${container}`);
    return known;
  }

  private async known(container: string): Promise<Known | null> {
    const text = await readFile(this.path(container), 'utf8').catch(() => null);
    return text === null ? null : (JSON.parse(text) as Known);
  }

  private isFrozenByUser(container: string): boolean {
    try {
      readFileSync(`${this.path(container)}.paused`);
      return true;
    } catch {
      return false;
    }
  }

  private path(container: string): string {
    return join(this.directory, `${container}.json`);
  }
}

/** A process that is neither stopped (T), nor a zombie, nor gone. */
function executes(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !['T', 't', 'Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3));
  } catch {
    return false;
  }
}
