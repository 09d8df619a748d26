/** `cmt worker`: works on one host until it is told to stop. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { ServiceFlags } from '../service-config.ts';
import { addVerb, runVerb } from '../verb.ts';
import { collect, withService } from './services.ts';

export function addWorker(program: Command): void {
  const command = addVerb(program, {
    usage: 'worker',
    does: 'work on this host: take its steps from the queue and run them here',
    examples: [
      ['cmt worker --name host1 --address 10.0.0.1 --redis redis://10.0.0.9', 'in a fleet'],
      ['cmt worker --config /etc/cmt/config.json', 'everything from a file'],
    ],
  });
  withService(command)
    .option('--name <name>', 'registered name of this host (default: its hostname)')
    .option(
      '--address <address>',
      'address under which other hosts reach it (default: its first IPv4 address)',
    )
    .option('--ssh-port <port>', 'port of its sshd (default: 22)')
    .option('--ssh-user <user>', 'user that other workers log in as (default: root)')
    .option('--ssh-key <file>', 'private key for other hosts (default: ssh-agent)')
    .option('--known-hosts <file>', 'pinned host keys beside those of the registry')
    .option('--receive-port <port>', 'port for the bytes of images (default: 7070)')
    .option(
      '--images-dir <dir>',
      'where images lie while they move; best on tmpfs (default: /run/cmt/images)',
    )
    .option('--label <name=value>', 'shown by `cmt hosts`; repeatable', collect)
    .action((flags: ServiceFlags) => runVerb(flags, () => work(flags)));
}

async function work(flags: ServiceFlags): Promise<ExitCode> {
  const { workerConfig } = await import('../service-config.ts');
  const { loadApp } = await import('../apps.ts');
  const config = await workerConfig(flags);
  await (await loadApp('worker')).main(config);
  return ExitCode.done;
}
