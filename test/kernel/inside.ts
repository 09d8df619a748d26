/** The program of the virtual machine: the cases one after the other, a line of JSON on each. The machine itself is their host. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startTimeOf } from '../../libs/host/src/proc.ts';
import type { Lab } from '@cmt/lab';
import { cases, Site } from './cases.ts';
import { say, textOf } from './port.ts';
import type { Forecast } from './pre-copied.ts';

/** What it says. `error` is the text of what went wrong. */
export type Told =
  | { readonly kind: 'ready' }
  | { readonly kind: 'case'; readonly name: string; readonly ms: number; readonly error: string | null }
  | { readonly kind: 'forecasts'; readonly of: string; readonly forecasts: readonly Forecast[] }
  | { readonly kind: 'end'; readonly error: string | null };

const tell = (told: Told): void => say(told);

/** The words of the live tests speak of a lab's hosts: this one has no namespaces of its own. */
async function thisMachine(): Promise<Lab> {
  const [name, cgroup] = ['host1', '/sys/fs/cgroup/machine'];
  mkdirSync(join(cgroup, name, 'system'), { recursive: true });
  const init = { pid: 1, startTime: (await startTimeOf(1)) ?? '' };
  return {
    ...{ version: 1, name: 'machine', stateDir: '/run', rootfs: '/', share: [], cgroup, index: 0 },
    hosts: [{ name, address: '127.0.0.1', init, dir: '/run' }],
    fabric: { netns: '', bridge: '', gateway: '' },
    ...{ sshKeyFile: '', knownHostsFile: '', ready: true },
  };
}

// What is waited for may be a signal or a file, neither of which keeps Node from ending.
setInterval(() => undefined, 60_000);
try {
  process.umask(0o077);
  const site = new Site(await thisMachine());
  tell({ kind: 'ready' });
  for (const { name, run } of cases) {
    const begun = performance.now();
    const error = await (async () => run(site))().then(() => null, textOf);
    tell({ kind: 'case', name, ms: performance.now() - begun, error });
  }
  for (const [of, forecasts] of Object.entries(site.forecasts)) tell({ kind: 'forecasts', of, forecasts });
  tell({ kind: 'end', error: null });
} catch (error) {
  tell({ kind: 'end', error: textOf(error) });
}
process.exit(0);
