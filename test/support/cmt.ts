/** The real `cmt`, as it was built: dist/cli.js. */
import { run, start, tryRun, type Finished } from '@cmt/host';
import { fileURLToPath } from 'node:url';

export const inCheckout = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const CLI = inCheckout('dist/cli.js');

/** Builds unless what is built is fresh. To be called before anything here is used. */
export const buildCmt = async (): Promise<void> => {
  await run(process.execPath, [inCheckout('scripts/build.mjs')], { timeoutMs: 120_000 });
};

/** Nothing of the machine's or the user's own configuration reaches a test. */
const clean = (home: string): Record<string, string> => ({
  ...{ HOME: home, XDG_CONFIG_HOME: `${home}/config`, XDG_STATE_HOME: `${home}/state`, NO_COLOR: '1' },
  ...Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith('CMT_'))
      .map((name) => [name, '']),
  ),
});

export interface CmtOptions {
  /** A directory of the test's own: stands for the home directory. */
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a minute. */
  readonly timeoutMs?: number;
}

/** Runs a verb to its end. */
export const cmt = (
  args: readonly string[],
  { home, env = {}, timeoutMs = 60_000 }: CmtOptions,
): Promise<Finished> =>
  tryRun(process.execPath, [CLI, ...args], { timeoutMs, cwd: home, env: { ...clean(home), ...env } });

/** Starts a verb and leaves it to the test. */
export const startCmt = (args: readonly string[], { home, env = {} }: CmtOptions): ReturnType<typeof start> =>
  start(process.execPath, [CLI, ...args], { cwd: home, env: { ...clean(home), ...env } });

/** What `--json` printed, line by line. */
export const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** What one of the bundles exports, to a Node of its own. */
export async function exportsOf(app: string): Promise<string[]> {
  const script = `console.log(JSON.stringify(Object.keys(await import('${inCheckout(`dist/${app}.js`)}'))))`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    timeoutMs: 20_000,
  });
  return JSON.parse(stdout) as string[];
}
