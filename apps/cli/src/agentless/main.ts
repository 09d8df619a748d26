/** `ssh-session.js STATE-DIR PLACE START`: the process that keeps a session; started by the verbs that need one, never by hand. */
import { keepSession } from './keeper.ts';

process.umask(0o077);
const [stateDir = '', place = '', start = ''] = process.argv.slice(2);
await keepSession(stateDir, place, start);
// The relay still listens.
process.exit(0);
