/** What all verbs share: common flags, examples in the help, and one way from an error to an exit code. */
import type { Command } from 'commander';
import type { ExitCode } from './exit-codes.ts';
import type { Io } from './io.ts';

/** Flags that every verb understands. */
export interface CommonFlags {
  readonly json?: boolean;
  readonly color?: boolean;
  readonly redis?: string;
  readonly config?: string;
  readonly stateDir?: string;
  readonly logLevel?: string;
}

export interface VerbSpec {
  /** As commander writes it: `status [id]`. */
  readonly usage: string;
  /** One line. */
  readonly does: string;
  /** Command lines, each with what it is for. */
  readonly examples: readonly (readonly [line: string, what: string])[];
}

const examples = new WeakMap<Command, VerbSpec['examples']>();
export const examplesOf = (command: Command): VerbSpec['examples'] => examples.get(command) ?? [];

/** Adds a verb with the common flags below `parent`. */
export function addVerb(parent: Command, spec: VerbSpec): Command {
  const command = parent
    .command(spec.usage)
    .description(spec.does)
    .option('--json', 'print JSON on standard output')
    .option(
      '--redis <url>',
      'redis://[:password@]host:port[/db], rediss://… or unix:///path; default: a private one',
    )
    .option('--config <file>', 'configuration file (JSON)')
    .option('--state-dir <dir>', 'where this cmt keeps keys, logs and its private Redis')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent')
    .option('--no-color', 'no colours; NO_COLOR and TERM=dumb say the same');
  examples.set(command, spec.examples);
  const width = Math.max(...spec.examples.map(([line]) => line.length));
  const lines = spec.examples.map(([line, what]) => `  $ ${line.padEnd(width)}  # ${what}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/**
 * Runs a verb and leaves its exit code in `process.exitCode`. Whatever is thrown is presented.
 * Everything heavy is loaded here or later, so that `--help` need not wait for it.
 */
export async function runVerb(flags: CommonFlags, work: (io: Io) => Promise<ExitCode>): Promise<void> {
  const { ioOf } = await import('./io.ts');
  const io = ioOf(flags, process.env, process);
  try {
    process.exitCode = await work(io);
  } catch (error) {
    const { presentError } = await import('./present-error.ts');
    process.exitCode = presentError(error, io);
  }
}
