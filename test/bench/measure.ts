/** The ways to move one container against each other, in turn, on the hosts of one lab. */
import { cpus, release } from 'node:os';
import { startFleet, type Fleet } from '../support/fleet.ts';
import type { Load } from './container.ts';
import { figuresOf, ratiosOf, type ModeFigures, type Point } from './figures.ts';
import { modes, type Mode } from './modes.ts';
import { peakMemory, Stage, type Measured } from './site.ts';

export interface Request {
  readonly loads: readonly Load[];
  readonly runs: number;
  /** Names of ways; null for all. */
  readonly modes: readonly string[] | null;
}

export interface Result {
  readonly at: string;
  readonly machine: { readonly cpus: number; readonly model: string; readonly kernel: string };
  readonly runs: number;
  readonly points: readonly Point[];
  readonly peakRssMiB: Readonly<Record<string, number>>;
}

/** Who hears how it goes. */
export interface Audience {
  /** A line of text. */
  readonly line: (text: string) => void;
  /** One load was measured. */
  readonly point: (point: Point) => void;
}

/** @param interrupted looked at between two moves: a `cmt` at work would start again what is taken down */
export async function measure(
  request: Request,
  audience: Audience,
  interrupted: AbortSignal,
): Promise<Result> {
  const fleet = await startFleet('bench');
  try {
    const points: Point[] = [];
    for (const load of request.loads) {
      const point = await measurePoint(fleet, load);
      audience.point(point);
      points.push(point);
    }
    const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? '', kernel: release() };
    const at = new Date().toISOString();
    return { at, machine, runs: request.runs, points, peakRssMiB: await peakMemory(fleet) };
  } finally {
    await fleet.stop();
  }

  async function measurePoint(on: Fleet, load: Load): Promise<Point> {
    const chosen = await available(on);
    const figures: Record<string, ModeFigures> = {};
    let idleMs = 0;
    for (const engine of new Set(chosen.map((mode) => mode.engine))) {
      const stage = new Stage({ fleet: on, engine, load });
      await stage.set();
      idleMs = Math.max(idleMs, stage.idleMs);
      const moves = await inTurn(
        stage,
        chosen.filter((mode) => mode.engine === engine),
        load,
      );
      if (!(await stage.strike())) throw new Error(`the data of ${load.sizeMiB} MiB is not what was put in`);
      for (const [name, all] of moves) figures[name] = figuresOf(all);
    }
    return { ...load, idleMs, modes: figures, ratios: ratiosOf(figures) };
  }

  async function inTurn(stage: Stage, chosen: readonly Mode[], load: Load): Promise<Map<string, Measured[]>> {
    const moves = new Map<string, Measured[]>(chosen.map(({ name }) => [name, []]));
    // The first round warms up caches on both hosts, and is thrown away.
    for (let round = 0; round <= request.runs; round += 1)
      for (const mode of chosen) {
        interrupted.throwIfAborted();
        const measured = await stage.measure(mode);
        audience.line(moveText(load, mode, `${round}/${request.runs}`, measured));
        if (round > 0) moves.get(mode.name)?.push(measured);
      }
    return moves;
  }

  async function available(on: Fleet): Promise<Mode[]> {
    const chosen: Mode[] = [];
    for (const mode of modes.filter(({ name }) => request.modes?.includes(name) ?? true)) {
      const reason = await mode.unavailable({ fleet: on });
      if (reason === null) chosen.push(mode);
      else audience.line(`bench: ${mode.name} is left out: ${reason}`);
    }
    return chosen;
  }
}

function moveText({ sizeMiB, dirtyMiBps }: Load, { name }: Mode, round: string, measured: Measured): string {
  const { blackoutMs, gapMs, lost, says } = measured;
  const what =
    lost === null ? `blackout ${Math.round(blackoutMs)} ms, gap ${Math.round(gapMs)} ms` : `LOST ${lost}`;
  return `${sizeMiB} MiB, ${dirtyMiBps} MiB/s, round ${round}: ${name}: ${what}${says ? ` (${says})` : ''}`;
}
