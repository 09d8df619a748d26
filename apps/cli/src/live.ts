/** Events as they come, on standard error: lines that are written over on a terminal, one line each elsewhere. */
import type { MigrationEvent } from '@cmt/contracts';
import type { Io } from './io.ts';
import { advance, eventLine, noProgress, progressLines } from './present/events.ts';

export interface Live {
  readonly show: (event: MigrationEvent) => void;
  /** Leaves the last picture standing. */
  readonly end: () => void;
}

/** Milliseconds between pictures when nothing happens. */
const REDRAW_MS = 100;

export function liveOn(io: Io): Live {
  return io.liveErr ? overwriting(io) : plain(io);
}

const plain = (io: Io): Live => ({
  show: (event) => io.err(eventLine(event, io.errPaint)),
  end: () => undefined,
});

function overwriting(io: Io): Live {
  let progress = noProgress;
  let drawn = 0;
  const draw = (): void => {
    const width = process.stderr.columns || 80;
    const lines = progressLines(progress, Date.now(), io.errPaint).map((line) => cut(line, width));
    // Up to the first line of the last picture, and everything below it gone (ECMA-48 CPL, ED).
    const back = drawn > 0 ? `\u001b[${drawn}F\u001b[J` : '';
    io.err(`${back}${lines.map((line) => `${line}\n`).join('')}`);
    drawn = lines.length;
  };
  const timer = setInterval(draw, REDRAW_MS);
  return {
    show: (event) => {
      progress = advance(progress, event);
    },
    end: () => {
      clearInterval(timer);
      draw();
    },
  };
}

/** A line that wraps would be one more line than was counted. Escape sequences take no room. */
function cut(line: string, width: number): string {
  let room = width;
  let kept = '';
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith('\u001b')) kept += part;
    else {
      kept += part.slice(0, room);
      room = Math.max(0, room - part.length);
    }
  }
  return kept;
}
