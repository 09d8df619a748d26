/**
 * What the blackout would be if the switch came now. Pure, from measured figures: those of this migration's rounds, and what
 * earlier hand-overs have cost the two hosts.
 */
import {
  imageBytesOf,
  PAGE_BYTES,
  type Cost,
  type HostCosts,
  type Prediction,
  type RoundFigures,
} from '@cmt/contracts';
import { beside, costOf, fitted, usualMs, type Line } from './fitted.ts';

/** What is known when a prediction is made. */
export interface Measured {
  readonly rounds: readonly RoundFigures[];
  /** Bytes of memory that a dump without rounds would carry. */
  readonly memory: number;
  /** What rounds have not brought follows the container, outside the blackout. */
  readonly postCopy: boolean;
  /** Without rounds memory follows the container from images on its own host: of the restore only what is fixed is in the blackout. */
  readonly lazyRestore: boolean;
  /** Nothing is carried but memory. */
  readonly sharedFiles: boolean;
  readonly sourceCosts: Pick<HostCosts, 'dump' | 'files' | 'readying'>;
  readonly targetCosts: Pick<HostCosts, 'restore'>;
}

/** Until something was measured: fixed milliseconds, and bytes per millisecond. */
const ASSUMED_DUMP: Line = { fixedMs: 100, rate: 100_000 };
const ASSUMED_RESTORE: Line = { fixedMs: 100, rate: 350_000 };
const ASSUMED_FILES_MS = 100;

/** The blackout after these rounds. */
export function predictBlackout(measured: Measured): Prediction {
  const left = remainingBytes(measured);
  const remaining = measured.postCopy ? 0 : left;
  const dumpMs = costOf(dumpLine(measured), remaining);
  const filesMs = filesCost(measured, dumpMs);
  const restored = Math.max(0, memoryNow(measured) - bytesFollowing(measured, left));
  const restoreMs = costOf(fitted(measured.targetCosts.restore, ASSUMED_RESTORE), restored);
  return { totalMs: dumpMs + filesMs + restoreMs, dumpMs, filesMs, restoreMs, remaining };
}

/** Bytes that are not restored before it runs. Where nobody knows what was written again after a single round: none. */
function bytesFollowing({ rounds, postCopy, lazyRestore, memory }: Measured, left: number): number {
  if (lazyRestore && rounds.length === 0) return memory;
  const isKnown = rounds.length !== 1 || rounds[0]?.dirtyBytes != null;
  return postCopy && isKnown ? left : 0;
}

/**
 * What the last dump will carry: what was seen to be written again while the last round was sent, and as much more as the time until
 * the next dump adds to it.
 */
function remainingBytes(measured: Measured): number {
  const last = measured.rounds.at(-1);
  if (last?.dirtyBytes == null) return remainingUnseen(measured);
  const growth = 1 + untilDump(measured) / Math.max(1, last.ms);
  return Math.min(last.dirtyBytes * growth, memoryNow(measured));
}

/**
 * The same where nobody looked: what the last round had to carry, less where the container gets less time to dirty memory than it
 * had before that round. The first round writes everything, and says nothing about it.
 */
function remainingUnseen(measured: Measured): number {
  const { rounds, memory } = measured;
  const [before, last] = rounds.slice(-2);
  if (before === undefined) return memory;
  if (last === undefined) return Math.max(memory, written(before));
  const had = last.startedAt - before.startedAt;
  const gets = last.ms + untilDump(measured);
  return written(last) * (had > 0 ? Math.min(1, gets / had) : 1);
}

/**
 * Milliseconds from the end of a round to the next dump. To make ready for the last one takes longer than for another round: as long as it
 * took this host before. Until that is known, files aside, as between the last two rounds; none that anybody knows of before.
 */
function untilDump({ rounds, sourceCosts }: Measured): number {
  const { readying = [] } = sourceCosts;
  if (readying.length > 0) return usualMs(readying);
  const [before, last] = rounds.slice(-2);
  if (before === undefined || last === undefined) return 0;
  return Math.max(0, last.startedAt - before.startedAt - before.ms - (last.filesMs ?? 0));
}

/** By its images where CRIU's figures could not be read (steps/dumping.ts). */
const written = (round: RoundFigures): number =>
  round.pagesWritten > 0 ? round.pagesWritten * PAGE_BYTES : imageBytesOf(round);

/** Whatever round it came in: CRIU fills a copy from parent images before it runs, those of a lazy restore too. */
function memoryNow({ rounds, memory }: Measured): number {
  const last = rounds.at(-1);
  return last === undefined ? memory : Math.max(memory, (last.pagesWritten + last.pagesSkipped) * PAGE_BYTES);
}

/**
 * The rate is that of this migration's rounds, over this link and now: bytes of images, however few of them the wire has seen. What a
 * dump costs beside its bytes, at that rate, is taken from the last dumps of this host where there were some: a round freezes in another
 * way, and leaves out all that is not memory.
 */
function dumpLine({ rounds, sourceCosts }: Measured): Line {
  const earlier = fitted(sourceCosts.dump, ASSUMED_DUMP);
  const ofRounds = rounds.map((round): Cost => ({ bytes: imageBytesOf(round), ms: round.ms }));
  if (ofRounds.length === 0) return earlier;
  const now = fitted(ofRounds, earlier);
  return sourceCosts.dump.length === 0 ? now : beside(sourceCosts.dump, now.rate);
}

/**
 * The last look at the files costs what the look before it did, and goes on beside the dump (steps/files-ahead.ts): what counts is what
 * is left of it afterwards. That is what earlier moves have measured.
 */
function filesCost({ rounds, sharedFiles, sourceCosts }: Measured, dumpMs: number): number {
  if (sharedFiles) return 0;
  const looks = rounds.map(({ filesMs }) => filesMs).filter((ms) => ms !== null);
  const afterDump = (ms: number): number => Math.max(0, ms - dumpMs);
  const last = looks.at(-1);
  if (last !== undefined) return afterDump(last);
  return sourceCosts.files.at(-1)?.ms ?? afterDump(ASSUMED_FILES_MS);
}
