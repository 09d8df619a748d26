import { constants } from 'node:fs';
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run, start, tryRun } from '../process.ts';
import { abortGate, gateState, gateTimes, GateUnattended, openGate, prepareGate, waitHeld } from './gate.ts';

let directory: string;
let actionScript: string;
const never = new AbortController().signal;

beforeEach(async () => {
  const root = await mkdtemp(join(tmpdir(), 'cmt-gate-'));
  directory = join(root, "it's $HOME; `a` gate");
  ({ actionScript } = await prepareGate(directory));
});
afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

const action = (name: string): Record<string, string> => ({
  CRTOOLS_SCRIPT_ACTION: name,
  CRTOOLS_INIT_PID: '4711',
  word: 'open',
});
/** CRIU at the action `post-restore`. */
const restore = () => start(actionScript, [], { env: action('post-restore'), stdio: 'ignore' });

describe('the gate', () => {
  test('lets every other action pass at once', async () => {
    for (const name of ['pre-restore', 'setup-namespaces', 'network-unlock', 'pre-resume', ''])
      await run(actionScript, [], { env: action(name), timeoutMs: 5000 });
    expect(await gateState(directory)).toBe('armed');
  });

  test('holds at post-restore, and opens', async () => {
    const waiting = waitHeld(directory, never);
    const script = restore();
    expect(await waiting).toMatchObject({ initPid: 4711 });
    expect(await gateState(directory)).toBe('held');
    await openGate(directory);
    expect((await script).exitCode).toBe(0);
    expect(await gateState(directory)).toBe('opened');
    await openGate(directory);
    expect(await abortGate(directory)).toBe(false);
    const { heldAt, openedAt } = await gateTimes(directory);
    expect(openedAt).toBeGreaterThanOrEqual(heldAt ?? Infinity);
  });

  test('holds at post-restore, and aborts', async () => {
    const script = restore();
    await waitHeld(directory, never);
    expect(await abortGate(directory)).toBe(true);
    expect((await script).exitCode).toBe(1);
    expect(await gateState(directory)).toBe('aborted');
    await expect(openGate(directory)).rejects.toThrow(GateUnattended);
    expect(await abortGate(directory)).toBe(true);
  });

  test('an abort that comes before the container is held holds', async () => {
    expect(await abortGate(directory)).toBe(true);
    expect((await restore()).exitCode).toBe(1);
  });

  test('a writer that dies, or says something else, opens nothing', async () => {
    const script = restore();
    await waitHeld(directory, never);
    const fifo = join(directory, 'word');
    for (const word of ['', 'opening\n', 'OPEN\n']) {
      const handle = await open(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
      await handle.write(word);
      await handle.close();
    }
    expect(await gateState(directory)).toBe('held');
    await abortGate(directory);
    expect((await script).exitCode).toBe(1);
  });

  test('nobody can open what nobody holds', async () => {
    await expect(openGate(directory)).rejects.toThrow(GateUnattended);
    const script = restore();
    await waitHeld(directory, never);
    script.kill('SIGKILL');
    await script;
    expect(await gateState(directory)).toBe('held');
    await expect(openGate(directory)).rejects.toThrow(GateUnattended);
    expect(await abortGate(directory)).toBe(true);
  });

  test('a directory without a gate has none, and one prepared again is fresh', async () => {
    expect(await gateState(join(directory, 'none'))).toBe('absent');
    const script = restore();
    await waitHeld(directory, never);
    await openGate(directory);
    await script;
    await prepareGate(directory);
    expect(await gateState(directory)).toBe('armed');
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
  });

  test('waiting ends with its signal, also while half a line is there', async () => {
    const stop = new AbortController();
    const waiting = waitHeld(directory, stop.signal);
    await writeFile(join(directory, 'held'), '47');
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(waitHeld(directory, stop.signal)).rejects.toThrow('enough');
  });

  test('a script whose FIFO is none aborts', async () => {
    await rm(join(directory, 'word'));
    await writeFile(join(directory, 'word'), '');
    const { code } = await tryRun(actionScript, [], { env: action('post-restore'), timeoutMs: 5000 });
    expect(code).toBe(1);
  });
});
