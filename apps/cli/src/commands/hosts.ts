/** `cmt hosts`: who has announced itself. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addJoin, addLeave } from './hosts-join.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

export function addHosts(program: Command): void {
  const hosts = addVerb(program, {
    usage: 'hosts',
    does: 'list the hosts whose workers have announced themselves',
    examples: [
      ['cmt hosts', 'address, state, free memory, moves under way and tools of each'],
      ["cmt hosts --json | jq -r '.hosts[].name'", 'their names'],
    ],
  })
    .enablePositionalOptions()
    .action((flags: CommonFlags) => runVerb(flags, (io) => listHosts(flags, io)));
  addJoin(hosts);
  addLeave(hosts);
}

async function listHosts(flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { hostsText } = await import('../present/fleet.ts');
  const { withTraffic } = await import('../present/fleet.ts');
  const { saysUnreadable } = await import('../present/unreadable.ts');
  const hosts = await withFleet(flags, async (fleet) => {
    const [facts, drains] = await Promise.all([
      fleet.facts(saysUnreadable(io, 'HOST_UNREADABLE')),
      fleet.drains(),
    ]);
    return withTraffic(facts, drains);
  });
  if (io.json) printJson(io, true, { hosts });
  else if (hosts.length > 0) io.out(hostsText(hosts, io.outPaint));
  else io.err('No host has announced itself. Start `cmt worker` on each, or try `cmt lab up`.\n');
  return ExitCode.done;
}
