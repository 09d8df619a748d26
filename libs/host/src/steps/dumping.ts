/** One dump, its images on their way to the target while CRIU still writes them. */
import { basename, join } from 'node:path';
import type { DumpFigures, TcpPolicy } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { criuConfigText } from '../criu/config.ts';
import { DUMP_LOG } from '../criu/log.ts';
import { startScriptIn } from '../criu/start-gate.ts';
import { makeImagesRoom } from './images-room.ts';
import { imagesDir, logDir, notesDir, startGateDir } from '../places.ts';
import { SERVE_FDS } from '../runtimes/serving.ts';
import type { ArmedDumpPlan, DumpPlan } from '../runtimes/runtime.ts';
import type { ImagesSent, Link } from '../transports/transport.ts';

export interface DumpRound {
  /** `1`, `2`, … or `final`. */
  readonly name: string;
  /** The round it builds upon; 0 for none. */
  readonly parent: number;
  readonly tcp: TcpPolicy;
  /** Whether cmt itself cuts the container off; CRIU's own lock is slow. */
  readonly fenced: boolean;
  /** Started when it is to dump, or ahead (criu/start-gate.ts); or with private memory left out and served (runtimes/serving.ts). */
  readonly way: 'once' | 'armed' | 'serving';
  /** Bytes that the container was seen to hold; of them a dump that serves writes next to nothing. */
  readonly memory: number;
}

/** Makes the directories of one round, or of the `final` dump. All of it before the freeze. */
export async function planDump(context: StepContext, round: DumpRound): Promise<ArmedDumpPlan> {
  const { config, migration, epoch, machine } = context;
  const { files } = machine;
  const images = join(imagesDir(config, migration, epoch), round.name);
  const work = logDir(config, migration, epoch, `dump-${round.name}`);
  await Promise.all([files.removeTree(images), files.removeTree(work)]);
  await makeImagesRoom({ memory: round.way === 'serving' ? 0 : round.memory, side: 'source' }, context);
  await Promise.all([files.makeDirectory(images), files.makeDirectory(work)]);
  const criuConfig = join(notesDir(config, migration, epoch), `dump-${round.name}.conf`);
  const { tcp, fenced, way } = round;
  const startGate = startGateDir(config, migration, epoch);
  const more = {
    once: {},
    armed: { actionScript: startScriptIn(startGate) },
    serving: { serve: SERVE_FDS },
  };
  await files.writeText(criuConfig, criuConfigText({ tcp, fenced, ...more[way] }));
  return { images, work, parent: round.parent > 0 ? `../${round.parent}` : null, tcp, criuConfig, startGate };
}

/**
 * Runs a dump and sends what it writes at the same time.
 * @throws CmtError DUMP_FAILED, DUMP_REFUSED, TRANSFER_BROKEN, TRANSFER_CORRUPT; not before CRIU has ended
 */
export async function dumpAndSend(
  context: StepContext,
  link: Link,
  plan: DumpPlan,
  dump: (signal: AbortSignal, onWritten: () => void) => Promise<void>,
  figuresOf: (plan: DumpPlan, context: StepContext) => Promise<CriuFigures> = statsOf,
): Promise<{ figures: DumpFigures & { ms: number }; dumpMs: number }> {
  const { clock } = context.machine;
  const started = clock.elapsed();
  const sending = link.sendImages(basename(plan.images), plan.images, context.signal);
  try {
    // What is written goes at once; nobody is told that it counts before the runtime has ended well.
    await dump(context.signal, () => void sending.finish().catch(() => undefined));
    context.signal.throwIfAborted();
  } catch (error) {
    sending.cancel();
    throw error;
  }
  const dumpMs = clock.elapsed() - started;
  const [sent, stats] = await Promise.all([sending.finish(), figuresOf(plan, context)]);
  return { dumpMs, figures: { ...stats, ...sent, ms: clock.elapsed() - started } };
}

type CriuFigures = Omit<DumpFigures, keyof ImagesSent | 'ms'>;

/** CRIU's own figures. A dump is none the worse for lacking them. */
async function statsOf({ work }: DumpPlan, { machine, tell }: StepContext): Promise<CriuFigures> {
  try {
    const { freezingMs, frozenMs, pagesWritten, pagesSkipped } = await machine.criu.dumpStats(work);
    return { freezingMs, frozenMs, pagesWritten, pagesSkipped };
  } catch (error) {
    tell({ kind: 'warning', text: `CRIU's figures cannot be read: ${String(error)}` });
    return { freezingMs: 0, frozenMs: 0, pagesWritten: 0, pagesSkipped: 0 };
  }
}

/** Of a CRIU that serves pages and writes its figures only when it ends: what its log tells. */
export async function servingFigures({ work }: DumpPlan, { machine }: StepContext): Promise<CriuFigures> {
  const frozenMs = (await machine.criu.lastLogTime(join(work, DUMP_LOG))) ?? 0;
  return { freezingMs: 0, frozenMs, pagesWritten: 0, pagesSkipped: 0 };
}
