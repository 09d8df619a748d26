/** The drivers of this host by name. docker and podman join here. */
import { CmtError, type RuntimeName } from '@cmt/contracts';
import { Runc, type RuncOptions } from './runc.ts';
import type { Runtime, Runtimes } from './runtime.ts';

/** @see Runtimes */
export function createRuntimes(options: RuncOptions): Runtimes {
  const drivers: readonly Runtime[] = [new Runc(options)];
  return {
    all: () => [...drivers],
    get: (name: RuntimeName) => {
      const driver = drivers.find((candidate) => candidate.name === name);
      if (driver === undefined)
        throw new CmtError('RUNTIME_UNSUPPORTED', { runtime: name, host: options.host });
      return driver;
    },
  };
}
