/** The benchmark as the program of the virtual machine: reads what is wanted of it, and tells how it goes in lines of JSON. */
import { requested, say, textOf } from '../kernel/port.ts';
import type { Point } from './figures.ts';
import { measure, type Request, type Result } from './measure.ts';

export type Told =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'point'; readonly point: Point }
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'failed'; readonly error: string };

const tell = (told: Told): void => say(told);

try {
  process.umask(0o077);
  const audience = {
    line: (text: string) => tell({ kind: 'line', text }),
    point: (point: Point) => tell({ kind: 'point', point }),
  };
  tell({
    kind: 'result',
    result: await measure(requested() as Request, audience, new AbortController().signal),
  });
} catch (error) {
  tell({ kind: 'failed', error: textOf(error) });
}
process.exit(0);
