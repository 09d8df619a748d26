/** The `cmt` program. */
import { CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { ExitCode } from './exit-codes.ts';
import { buildProgram } from './program.ts';

// Whatever this process and its children write is their owner's alone.
process.umask(0o077);
// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

await run(process.argv);
// A pipe takes 64 KiB at once, and the rest when its reader has read that.
for (const stream of [process.stdout, process.stderr])
  await new Promise<void>((written) => stream.write('', () => written()));
// Connections that libraries keep are nobody's business any more.
process.exit();

async function run(argv: readonly string[]): Promise<void> {
  const program = buildProgram(versionBeside(), argv[2]);
  if (argv.length === 2) {
    program.outputHelp({ error: true });
    process.exitCode = ExitCode.usage;
    return;
  }
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = await presentUsage(error, argv);
  }
}

/** Asking for help or the version is no error, though commander ends both by throwing. */
async function presentUsage(error: unknown, argv: readonly string[]): Promise<number> {
  if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.done;
  // `cmt lab` alone: its help was shown.
  if (error instanceof CommanderError && error.code === 'commander.help') return ExitCode.usage;
  const { ioOf } = await import('./io.ts');
  const { presentError } = await import('./present-error.ts');
  const flags = { json: argv.includes('--json'), color: !argv.includes('--no-color') };
  return presentError(await usageError(error), ioOf(flags, process.env, process));
}

async function usageError(error: unknown): Promise<unknown> {
  if (!(error instanceof CommanderError)) return error;
  const { CmtError } = await import('@cmt/contracts');
  const problem = error.message
    .replace(/^error: /, '')
    .replace(/\.?\n/g, ' ')
    .replace(/\.$/, '');
  return new CmtError('REQUEST_INVALID', { problem });
}

function versionBeside(): string {
  const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
