/** `cmt coordinator`: turns requests into migrations until it is told to stop. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { ServiceFlags } from '../service-config.ts';
import { addVerb, runVerb } from '../verb.ts';
import { withService } from './services.ts';

export function addCoordinator(program: Command): void {
  const command = addVerb(program, {
    usage: 'coordinator',
    does: 'take migrations from the queue and see each to its end; several share the work',
    examples: [
      ['cmt coordinator --redis redis://10.0.0.9 --trusted-keys-dir /etc/cmt/trusted.d', 'in a fleet'],
      ['cmt coordinator --config /etc/cmt/config.json', 'everything from a file'],
    ],
  });
  withService(command).action((flags: ServiceFlags) => runVerb(flags, () => coordinate(flags)));
}

async function coordinate(flags: ServiceFlags): Promise<ExitCode> {
  const { coordinatorConfig } = await import('../service-config.ts');
  const { loadApp } = await import('../apps.ts');
  const config = await coordinatorConfig(flags);
  await (await loadApp('coordinator')).main(config);
  return ExitCode.done;
}
