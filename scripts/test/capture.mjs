/** Runs a program with its output, both streams in their order, kept for later. */
import { spawn } from 'node:child_process';

const running = new Set();
const env = {
  ...process.env,
  NX_DAEMON: 'false',
  NX_NO_CLOUD: 'true',
  NX_TUI: 'false',
  CI: process.env.CI ?? 'true',
};

/** @returns {Promise<{ok: boolean, text: string, seconds: number}>} what it said, however it ended */
export function capture([program, ...args]) {
  const begun = performance.now();
  const chunks = [];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk));
  running.add(child);
  return new Promise((resolve) => {
    const end = (ok, said = '') => {
      running.delete(child);
      const text = Buffer.concat(chunks).toString() + said;
      resolve({ ok, text, seconds: (performance.now() - begun) / 1000 });
    };
    child.once('error', (error) => end(false, `${program}: ${error.message}\n`));
    child.once('close', (code, signal) => end(code === 0, signal === null ? '' : `ended by ${signal}\n`));
  });
}

/** Tells all that runs to end, and resolves when it has. */
export async function killAll(signal) {
  const ended = [...running].map((child) => new Promise((resolve) => child.once('close', resolve)));
  for (const child of running) child.kill(signal);
  await Promise.all(ended);
}
