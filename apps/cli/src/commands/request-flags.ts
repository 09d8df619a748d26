/** The flags that `migrate` and `validate` share. */
import { Option, type Command } from 'commander';

/** Repeatable: each use adds one. */
const collect = (text: string, before: string[] | undefined): string[] => [...(before ?? []), text];

export const withEnds = (command: Command): Command =>
  command
    .argument('[container]', 'id of the container; without it, the one of the bundle named in --src')
    .option(
      '--src <host>',
      'HOST[:/bundle] of a fleet; or user@HOST[:/bundle], ssh://[user@]HOST[:port][/bundle] of any machine that ssh reaches (default: the one host that announces the container)',
    )
    .requiredOption(
      '--dst <host>',
      'the same; or `auto` for the host that fits best, or name=value for the best with that label, repeatable',
      collect,
    );

/** What decides whether the move is possible. */
export const withMeans = (command: Command): Command =>
  command
    .addOption(
      new Option('--runtime <name>', 'the container’s runtime (default: runc)').choices([
        'runc',
        'docker',
        'podman',
      ]),
    )
    .addOption(
      new Option(
        '--mode <mode>',
        'how memory moves; post-copy: after the switch, which until the last page needs both hosts; hybrid: what rounds leave does (default: auto)',
      ).choices(['auto', 'stop-and-copy', 'pre-copy', 'post-copy', 'hybrid']),
    )
    .addOption(
      new Option(
        '--restore <way>',
        'complete: before it runs; lazy: while it runs; auto: lazy for a large container (default: auto)',
      ).choices(['auto', 'complete', 'lazy']),
    )
    .addOption(
      new Option('--tcp <policy>', 'what becomes of established connections (default: established)').choices([
        'established',
        'close',
        'refuse',
      ]),
    )
    .addOption(
      new Option(
        '--transport <name>',
        'how images travel; tcp only on a trusted network (default: ssh)',
      ).choices(['ssh', 'tcp']),
    )
    .addOption(
      new Option(
        '--compress <codec>',
        'how images are packed on their way: zstd for a link slower than about a gigabit per second (default: none)',
      ).choices(['none', 'zstd']),
    )
    .option('--ssh-config <file>', 'for machines reached over ssh: read this instead of ~/.ssh/config')
    .option('--shared-rootfs', 'both hosts see the same bundle: no files are carried')
    .option('--force', 'soft findings become warnings')
    .option('--id <id>', 'name of the migration; the same id twice is one migration');

const HOOKS = [
  ['pre-freeze', 'before the blackout'],
  ['pre-restore', 'in the blackout; refuses the move by failing'],
  ['post-restore', 'when it runs on the target'],
  ['failed-restore', 'when the move has failed'],
  ['rolled-back', 'when everything is as it was'],
] as const;

export function withHooks(command: Command): Command {
  for (const [name, when] of HOOKS)
    command.option(
      `--hook-${name} <command>`,
      `run ${when}; '@source …' or '@target …' runs there; repeatable`,
      collect,
    );
  return command.option('--hook-timeout <time>', 'limit of each hook', '30s');
}
