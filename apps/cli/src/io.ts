/** Where words go: data to standard output, talk to standard error. */
import { paintFor, type Paint } from './present/paint.ts';

export interface Io {
  /** Data: what the caller asked for. */
  readonly out: (text: string) => void;
  /** Talk: progress, warnings, errors. */
  readonly err: (text: string) => void;
  readonly outPaint: Paint;
  readonly errPaint: Paint;
  /** Standard error is a terminal that can be written over. */
  readonly liveErr: boolean;
  readonly json: boolean;
}

type Stream = Pick<NodeJS.WriteStream, 'write' | 'isTTY'>;

/** NO_COLOR (no-color.org), TERM=dumb and --no-color switch colours off; so does anything but a terminal. */
export function ioOf(
  flags: { readonly json?: boolean; readonly color?: boolean },
  env: Readonly<Record<string, string | undefined>>,
  { stdout, stderr }: { readonly stdout: Stream; readonly stderr: Stream },
): Io {
  const dumb = env['TERM'] === 'dumb';
  const colours = !env['NO_COLOR'] && !dumb && flags.color !== false;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outPaint: paintFor(colours && stdout.isTTY),
    errPaint: paintFor(colours && stderr.isTTY),
    liveErr: stderr.isTTY && !dumb,
    json: flags.json === true,
  };
}

/** One JSON object on a line of its own: `v` for the format, `ok`, and what belongs to it. */
export const printJson = (io: Io, ok: boolean, fields: Readonly<Record<string, unknown>>): void =>
  io.out(`${JSON.stringify({ v: 1, ok, ...fields })}\n`);
