/**
 * A carrier: a process of its own that moves the bytes of images between files and one connection, or pages between CRIU and one
 * connection, so that they pass neither the worker's heap nor its event loop.
 */
import { runPages } from './pages.ts';
import { runReceiver } from './receive.ts';
import { runSender } from './send.ts';

process.umask(0o077);
const roles: Record<string, () => void> = { send: runSender, receive: runReceiver, pages: runPages };
roles[process.argv[2] ?? '']?.();
