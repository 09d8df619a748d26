/** `cmt limits [name=n …]`: how many migrations at the same time, and what they share of the hosts' links. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

export function addLimits(program: Command): void {
  addVerb(program, {
    usage: 'limits',
    does: 'show or set how many migrations run at the same time, and what they share of the links; counts at once, nothing is restarted',
    examples: [
      ['cmt limits', 'those in force'],
      ['cmt limits set out=4 in@bighost=8 fleet=50', 'for every host, for one host, for the fleet'],
      [
        'cmt limits set bandwidth=1Gbit/s bandwidth@edge=50MiB/s',
        'all that leave a host share so much of its link, and all that go to it',
      ],
      ['cmt limits set out=default', 'back to the default'],
    ],
  })
    .argument(
      '[settings...]',
      '`set`, then name=n or name=default; names: out, in, bandwidth (of every host, or as NAME@HOST), fleet, queue (open migrations)',
    )
    .action((settings: string[], flags: CommonFlags) => runVerb(flags, (io) => limits(settings, flags, io)));
}

async function limits(typed: readonly string[], flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { parseLimits } = await import('@cmt/fleet');
  const { parseSettings, hostOfSetting } = await import('../flags/limits.ts');
  const { registeredName } = await import('../request.ts');
  const { limitsText } = await import('../present/limits.ts');
  const settings = parseSettings(typed);
  const stored = await withFleet(flags, async (fleet) => {
    const named = Object.keys(settings).flatMap((name) => hostOfSetting(name) ?? []);
    if (named.length > 0) {
      const records = (await fleet.hosts()).map(({ record }) => record);
      for (const host of named) registeredName(host, records);
    }
    if (Object.keys(settings).length > 0) await fleet.setLimits(settings);
    return fleet.limits();
  });
  if (io.json) printJson(io, true, { limits: parseLimits(stored) });
  else io.out(limitsText(parseLimits(stored), io.outPaint));
  return ExitCode.done;
}
