import { expect, test } from 'vitest';
import { run } from '../process.ts';
import { quoted } from '../shell.ts';
import { sshArgv } from './ssh.ts';

test('an argv survives the login shell as it is', async () => {
  const words = ["it's", '$HOME `id` "x"', 'two\nlines', '', '*', '\\', "'"];
  const { stdout } = await run('sh', ['-c', quoted(['printf', '%s|', ...words])], { timeoutMs: 5000 });
  expect(stdout).toBe(words.map((word) => `${word}|`).join(''));
});

test('the agent stays here, nobody is asked, and a destination is never an option', () => {
  const argv = sshArgv({ destination: '-oProxyCommand=evil', port: 2222 }, ['true']);
  expect(argv).toEqual(expect.arrayContaining(['-a', 'BatchMode=yes', 'ForwardAgent=no', '2222']));
  expect(argv.slice(-3)).toEqual(['--', '-oProxyCommand=evil', "'true'"]);
});
