/** `npm run demo [-- --json] [-- --keep]`: the main job from beginning to end. Exit code 0 only when nothing was lost. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { labDown } from '../down.ts';
import { withMachineLock } from '../machine-lock.ts';
import { cmtOf, type Cmt } from './cmt.ts';
import { resultOf, type DemoResult } from './result.ts';
import { runDemo } from './run.ts';
import { byHand } from './story.ts';

const DOWN_MS = 60_000;
/** A lab that is kept is the one `cmt lab` means when no name is given, in the user's own state directory. */
const KEPT_LAB = 'lab';
const DEMO_LAB = 'demo';

process.umask(0o077);
const { values: flags } = parseArgs({ options: { json: { type: 'boolean' }, keep: { type: 'boolean' } } });
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error('interrupted; taking the lab down')));
}

process.exitCode = await withMachineLock('demo', demo, { signal: interrupted.signal, onWait: sayWaiting });
process.exit();

async function demo(): Promise<number> {
  const stateDir = flags.keep ? undefined : await mkdtemp(join(tmpdir(), 'cmt-demo-'));
  const cmt = cmtOf(stateDir);
  const name = flags.keep ? KEPT_LAB : DEMO_LAB;
  try {
    // A demo that was killed could not clean up after itself.
    if (!flags.keep) await takeDown(cmt, name);
    const observed = await runDemo({ cmt, name, tell, signal: interrupted.signal });
    const result = resultOf(observed);
    present(result);
    if (flags.keep) tell(byHand('bin/cmt'));
    return result.ok ? 0 : 1;
  } catch (error) {
    presentError(error);
    return interrupted.signal.aborted ? 130 : 1;
  } finally {
    if (!flags.keep) await takeDown(cmt, name);
    if (stateDir !== undefined) await rm(stateDir, { recursive: true, force: true });
  }
}

/** Also what `cmt lab down` itself could not do. */
async function takeDown(cmt: Cmt, name: string): Promise<void> {
  await cmt(['lab', 'down', '--name', name], DOWN_MS).catch(warn);
  await labDown({ name }).catch(warn);
}

/** The story is the data, unless JSON is. */
function tell(text: string): void {
  if (!flags.json) process.stdout.write(text);
}

function present(result: DemoResult): void {
  if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

function presentError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`demo: ${message}\n`);
  if (flags.json) process.stdout.write(`${JSON.stringify({ ok: false, error: { message } })}\n`);
}

function warn(error: unknown): void {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
}

function sayWaiting(): void {
  process.stderr.write('another demo runs on this machine: waiting for it\n');
}
