/** The benchmark as the program of the virtual machine: reads what is wanted of it, and tells how it goes in lines of JSON. */
import { appendFileSync, readFileSync } from 'node:fs';
import type { Point } from './figures.ts';
import { measure, type Request, type Result } from './measure.ts';

export type Told =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'point'; readonly point: Point }
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'failed'; readonly error: string };

/** The port that the machine outside listens to. */
const PORT = process.argv[2] ?? '/dev/stdout';
const tell = (told: Told): void => appendFileSync(PORT, `${JSON.stringify(told)}\n`);

try {
  process.umask(0o077);
  const request = JSON.parse(readFileSync('/cmt/request.json', 'utf8')) as Request;
  const audience = {
    line: (text: string) => tell({ kind: 'line', text }),
    point: (point: Point) => tell({ kind: 'point', point }),
  };
  tell({ kind: 'result', result: await measure(request, audience, new AbortController().signal) });
} catch (error) {
  tell({ kind: 'failed', error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
process.exit(0);
