/**
 * A carrier: a process of its own that moves the bytes of images between files and one connection, or pages between CRIU and one
 * connection, so that they pass neither the worker's heap nor its event loop.
 */
import { runPages } from './pages.ts';
import { runReceiver } from './receive.ts';
import { runSender } from './send.ts';
import type { Zstd } from './zstd.ts';

process.umask(0o077);
const [role = '', codec] = process.argv.slice(2);
const roles: Record<string, (zstd: Zstd | null) => void> = {
  send: runSender,
  receive: runReceiver,
  pages: runPages,
};
// Before anything is heard or said: a carrier that says `ready` can do what it was started for.
roles[role]?.(codec === 'zstd' ? await (await import('./zstd.ts')).loadZstd() : null);
