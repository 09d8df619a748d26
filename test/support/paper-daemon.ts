/** A daemon that fills memory, which stands as the test says. */
import type { ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import type { LazyPagesPlan, LazyPagesState } from '../../libs/host/src/criu/lazy-pages.ts';
import type { LazyPages } from '../../libs/host/src/machine.ts';
import { startDetached } from '../../libs/host/src/process.ts';
import { isThere } from '../../libs/host/src/mounts.ts';

/** What `criu lazy-pages` and its guard would be. */
export class Daemon implements LazyPages {
  stands: LazyPagesState = 'absent';
  serves = true;
  /** Whether it was given a way to the source. */
  follows = false;
  /** Has the way to the source, as the daemon would. */
  #holder: ChildProcess | null = null;
  readonly asked: string[] = [];
  readonly guarded: string[] = [];

  arm = async ({ directory, pages }: LazyPagesPlan) => {
    await mkdir(directory);
    this.follows = pages !== null;
    if (pages !== null) {
      this.#holder = startDetached('cat', [], [pages.socket, 'pipe', 'ignore']);
      pages.keep();
    }
    this.stands = 'armed';
    return {
      serve: () => {
        this.stands = this.serves ? 'serving' : 'lost';
        return this.serves ? Promise.resolve() : Promise.reject(new Error('it does not listen'));
      },
    };
  };
  guardCopy = (_: string, cgroup: string) => {
    this.guarded.push(cgroup);
    return Promise.resolve();
  };
  guardAgain = () => {
    this.asked.push('guard');
    this.stands = 'serving';
    return Promise.resolve();
  };
  state = async (directory: string) => ((await isThere(directory)) ? this.stands : 'absent');
  noteLost = () => {
    this.stands = 'lost';
    return Promise.resolve();
  };
  whyLost = () => Promise.resolve('signal 9');
  end = () => {
    this.#holder?.kill('SIGKILL');
    if (this.stands === 'serving') this.stands = 'absent';
    return Promise.resolve();
  };
}
