import { expect, test } from 'vitest';
import { start } from './process.ts';

const of = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
const program = `
import { start } from ${of('./process.ts')};
import { toldToStop } from ${of('./stop-signal.ts')};
const told = toldToStop();
const child = start('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
await new Promise((resolve) => child.once('spawn', resolve));
console.log('ready');
const signal = await told;
child.stdin.end();
const { exitCode } = await child;
console.log(signal, exitCode);
process.exit();
`;

test.each(['SIGTERM', 'SIGINT'] as const)('%s lets a child come to its own end', async (signal) => {
  const argv = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program];
  const child = start(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout?.once('data', () => child.kill(signal));
  const { stdout } = await child;
  expect(stdout).toBe(`ready\n${signal} 0`);
});
