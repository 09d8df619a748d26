/**
 * A carrier: a process of its own that moves the bytes of images between files and one connection, so that they pass neither the
 * worker's heap nor its event loop.
 */
import { runReceiver } from './receive.ts';
import { runSender } from './send.ts';

process.umask(0o077);
if (process.argv[2] === 'send') runSender();
else runReceiver();
