/** `cmt board`: shows the fleet in a browser until it is told to stop. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

export function addBoard(program: Command): void {
  addVerb(program, {
    usage: 'board',
    does: 'show hosts, migrations and queues in a browser, and metrics to Prometheus',
    examples: [
      ['cmt board', 'on http://127.0.0.1:7080/; says where its token is'],
      ['cmt board --redis redis://10.0.0.9 --board-port 0', 'of a fleet, on any free port'],
      ['CMT_BOARD_TOKEN_FILE=/etc/cmt/board-token cmt board', 'with a token of your own'],
    ],
  })
    .option('--board-address <address>', 'where it listens (default: 127.0.0.1); plain HTTP')
    .option('--board-port <port>', 'port; 0 for any free one (default: 7080)')
    .option(
      '--board-token-file <file>',
      'its token; default: one that is made and kept in the state directory',
    )
    .option('--board-writes <yes|no>', 'jobs can be changed in Bull Board (default: no)')
    .action((flags: CommonFlags) => runVerb(flags, (io) => show(flags, io)));
}

async function show(flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { boardConfig } = await import('../service-config.ts');
  const { loadApp } = await import('../apps.ts');
  const { printJson } = await import('../io.ts');
  const config = await boardConfig(flags);
  const app = await loadApp('board');
  await app.main(config, ({ url, tokenFrom }) => {
    if (io.json) printJson(io, true, { url, tokenFrom });
    else io.err(`The board is at ${io.errPaint.bold(url)}, its token in ${tokenFrom}\n`);
  });
  return ExitCode.done;
}
