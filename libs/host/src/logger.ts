/** Logs of the long-lived processes: JSON lines on standard error, secrets left out, a migration's id on each of its lines. */
import { pino, type Logger } from 'pino';

/** Where secrets could stand in what is logged. */
const SECRETS = [
  'password',
  'redis',
  '*.password',
  '*.env',
  '*.argv',
  '*.signature',
  '*.sealed',
  '*.privateKey',
];

/** @param process which program logs, e.g. `worker` */
export const createLogger = (process: string, level: string): Logger =>
  pino(
    { level, base: { process }, redact: { paths: SECRETS, censor: '(left out)' } },
    pino.destination({ dest: 2, sync: false }),
  );

/** The logger for everything that concerns one migration. */
export const forMigration = (logger: Logger, migration: string): Logger => logger.child({ migration });
