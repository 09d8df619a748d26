/** What a program of the virtual machine is asked, and how it tells of itself. */
import { appendFileSync, readFileSync } from 'node:fs';

/** The port that the machine outside listens to. */
const PORT = process.argv[2] ?? '/dev/stdout';

/** Says something, as a line of JSON. */
export const say = (told: object): void => appendFileSync(PORT, `${JSON.stringify(told)}\n`);

/** What image.ts has put there. */
export const requested = (): unknown => JSON.parse(readFileSync('/cmt/request.json', 'utf8'));

/** What went wrong, for whoever reads the output outside. */
export const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
